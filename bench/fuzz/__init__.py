"""Broken and adversarial input to the whole bridge."""
