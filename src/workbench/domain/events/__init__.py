"""The log of everything that happened, and its readers."""
