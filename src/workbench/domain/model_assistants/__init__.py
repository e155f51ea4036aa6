"""Assistants that the service hosts itself: models with instructions and tools, whose answers are turns."""
