"""What models cost, from files."""
