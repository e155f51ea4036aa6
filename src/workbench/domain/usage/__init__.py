"""What models were asked, what they used, and what that cost."""
