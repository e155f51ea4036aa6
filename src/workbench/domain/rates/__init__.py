"""How often a caller may do a thing."""
