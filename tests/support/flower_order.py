"""The order of flowers: what the caller says, and what the caller hears."""

ORDER = ("I would like to order flowers", "roses", "tomorrow", "five pm", "yes", "goodbye")
SAY_IT_AGAIN = "Sorry, I did not get that. Please say it again."
NOT_AVAILABLE = "Sorry, this service is not available."
KINDS = "What type of flowers"
DAY = "What day do you want the roses to be picked up?"
FLOWERS = "I would like to order flowers"
KINDS_ASKED = f"{KINDS} would you like to order?"
