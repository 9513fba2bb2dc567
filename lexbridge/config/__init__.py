"""The settings: their table, their rules, and what is odd about them."""
