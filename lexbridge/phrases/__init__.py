"""Phrases that lexbridge itself says to callers, in each language of Lex."""
