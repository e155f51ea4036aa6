"""Counting what callers do."""
