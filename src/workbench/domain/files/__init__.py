"""Files of a conversation, in versions."""
