"""Calls and turns as facts tell them, for those who pass them on: events, recordings and traces."""
