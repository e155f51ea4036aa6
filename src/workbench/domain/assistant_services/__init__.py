"""Services that host assistants, and how they are reached."""
