"""The bytes of files: each content stored once, found by its hash, removed when nothing refers to it."""
