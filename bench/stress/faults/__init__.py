"""Calls while Lex or Twilio's REST API fails."""
