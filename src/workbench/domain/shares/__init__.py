"""Shares: invitations to a conversation, and who has taken them up."""
