"""Measured values for operators."""
