"""Assistants that services of flows speak for."""
