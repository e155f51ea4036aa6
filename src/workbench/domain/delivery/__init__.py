"""Bringing events to assistants, in order and at least once."""
