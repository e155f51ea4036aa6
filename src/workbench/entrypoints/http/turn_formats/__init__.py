"""The vocabularies in which a turn is told: our own, and those of front ends that know others."""
