"""Assistants, and their joining and leaving of conversations."""
