"""Odd answers of Lex and Twilio: endless, compressed, malformed."""
