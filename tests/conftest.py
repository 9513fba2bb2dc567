"""Patches gevent before a test imports anything: the shell, and its peers, run on it."""

from gevent import monkey

monkey.patch_all()
