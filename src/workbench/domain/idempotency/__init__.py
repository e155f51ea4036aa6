"""Requests that can be repeated safely: what was done once under a key is answered again, not done again."""
