"""Playbooks: how to find the cause of a known problem, step by step, and which playbook fits what is reported."""
