"""Measurements: each module is a command (`python -m bench.<name> --help`) that prints a table and compares against a
baseline in the same run. Trust the ratios: the machines they run on are noisy."""
