"""Backups of an installation that keeps everything in one folder."""
