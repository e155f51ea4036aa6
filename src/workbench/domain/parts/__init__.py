"""The content of a message in parts: text, reasoning, images, calls of tools, and what else belongs to it."""
