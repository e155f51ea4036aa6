"""Moving everything from one place to another."""
