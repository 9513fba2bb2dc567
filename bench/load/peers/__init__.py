"""Servers that the load measurement compares the service with. They decode the media and take its RMS, and no more."""
