"""A Lex bot, V1 or V2: requests, answers, and the bot's voice."""
