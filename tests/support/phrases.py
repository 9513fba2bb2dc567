"""Phrases that lexbridge itself says, in English."""

NOT_HEARD = "Sorry, I did not hear anything."
SAY_AGAIN = "Sorry, I did not get that. Please say it again."
ONE_MOMENT = "One moment please."
NOT_AVAILABLE = "Sorry, this service is not available."
LIMIT = "We have to end this call now. Goodbye."
