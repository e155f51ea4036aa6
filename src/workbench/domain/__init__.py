"""The pure part: what the service is about. Standard library and msgspec only."""
