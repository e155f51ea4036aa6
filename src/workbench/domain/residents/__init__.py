"""Assistants that this service hosts itself, whatever speaks for them: which messages they answer, and the making of turns."""
