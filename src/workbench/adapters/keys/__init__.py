"""Keys of assistant services."""
