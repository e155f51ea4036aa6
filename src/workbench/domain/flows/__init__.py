"""Flows: running sets of services behind the message bus, made from blueprints."""
