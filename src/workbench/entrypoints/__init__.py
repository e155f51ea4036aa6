"""The ways in: HTTP, workers, command line."""
