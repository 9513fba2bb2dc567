"""A Lex bot, V1 or V2: what it is asked, what it answers, and its voice."""
