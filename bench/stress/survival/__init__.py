"""Calls while workers are killed or restarted."""
