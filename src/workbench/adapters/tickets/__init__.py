"""Ticket systems over HTTP, and the box for their secrets."""
