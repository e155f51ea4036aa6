"""Services behind a message bus: topics, messages, requests with their replies, and those who serve them."""
