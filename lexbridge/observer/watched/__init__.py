"""Calls, streams and turns, made of facts: what the console, events, recordings and traces stand on."""
