"""A local Lex runtime: bots from Lex's exports, with speech recognition and a voice."""
