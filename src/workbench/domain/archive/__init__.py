"""Copies of conversations and assistants: duplicates here, and archives to take elsewhere."""
