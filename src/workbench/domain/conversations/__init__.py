"""Conversations: made, listed, changed, deleted."""
