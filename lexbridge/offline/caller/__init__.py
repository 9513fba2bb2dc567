"""A simulated caller, and what they say."""
