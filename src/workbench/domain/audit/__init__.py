"""The record of administrative acts: who did what, and when."""
