"""The commands of `python -m lexbridge.offline`."""
