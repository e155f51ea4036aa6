"""Texts as vectors: who makes them, in which spaces they are kept, and which are near to one."""
