"""Measurements with malformed and hostile input."""
