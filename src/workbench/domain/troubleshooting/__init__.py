"""Troubleshooting sessions: one engineer's attempt at one problem, from the report to its documentation."""
