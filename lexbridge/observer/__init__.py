"""The process that watches the calls of all workers: the console, `/metrics`, posted events, recordings, traces.

It is a process of its own, so that nobody who watches a call makes it wait.
"""
