"""What is said in a conversation."""
