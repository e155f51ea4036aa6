"""Workbench: people and AI assistants working together in conversations."""
