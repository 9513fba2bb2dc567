"""Benchmarks of calls while peers fail, workers end and strangers flood."""
