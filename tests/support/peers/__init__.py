"""Peers of the service, written from the protocols alone: Lex, Twilio's REST API, callers. They import no lexbridge."""
