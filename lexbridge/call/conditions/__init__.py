"""Conditions of a call, a row for each, in a module for each part of a call."""
