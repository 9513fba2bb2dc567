"""Traces of calls, for an OpenTelemetry collector."""
