"""Tokens with which clients call a speech service."""
