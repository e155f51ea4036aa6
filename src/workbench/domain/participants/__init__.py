"""Who takes part in a conversation, and what they may do there."""
