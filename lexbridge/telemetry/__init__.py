"""Telling of a worker about its calls to those who watch them: facts, the channel they go through, and metrics."""
