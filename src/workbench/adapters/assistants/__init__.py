"""Calls to assistant services."""
