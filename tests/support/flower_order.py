"""The order of flowers: what the caller says, and what the caller hears."""

ORDER = ("I would like to order flowers", "roses", "tomorrow", "five pm", "yes", "goodbye")
"""The caller's sentences, in order. The last one hangs up."""
KINDS = "What type of flowers"
"""Beginning of the bot's first question."""
DAY = "What day do you want the roses to be picked up?"
"""The bot's second question, after "roses"."""
FLOWERS = "I would like to order flowers"
"""The caller's first sentence."""
KINDS_ASKED = f"{KINDS} would you like to order?"
ELSE = "Is there anything else I can do for you?"
"""The end of what the bot says before the caller's last sentence."""
