"""Measurements: `python -m bench` lists them, `python -m bench NAME` runs one.

Each prints a table, compares with a baseline in the same run, and exits with status 1 if a limit is missed. Trust the
ratios more than the figures: the machines that the measurements run on are noisy.
"""
