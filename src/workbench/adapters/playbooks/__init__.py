"""Playbooks as texts: YAML and JSON, and those that come with the package."""
