"""Turns: an assistant's answer streamed as it is made, and stored exactly once whatever breaks."""
