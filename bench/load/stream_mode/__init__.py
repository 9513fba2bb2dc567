"""Measurements of stream mode."""
