"""The calls of all workers in memory: what the console shows."""
