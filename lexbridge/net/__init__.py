"""Sockets, HTTP and name resolution on gevent. This package knows nothing of calls."""
