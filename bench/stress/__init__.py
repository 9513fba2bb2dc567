"""Measurements of calls while peers fail, workers end and clients flood."""
