"""Benchmarks of what a call costs, and how soon it is answered."""
