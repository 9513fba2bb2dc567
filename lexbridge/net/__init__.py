"""Sockets, HTTP and name resolution on gevent. It knows no call."""
