"""Titles that a model chooses for conversations that nobody named."""
