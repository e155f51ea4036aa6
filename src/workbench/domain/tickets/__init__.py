"""Ticket systems that a workspace has connected, and the notes that are pushed to their tickets."""
