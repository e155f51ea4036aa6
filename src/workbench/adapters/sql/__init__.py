"""Everything stored in a database."""
