"""A simulated Twilio: calls, TwiML, media streams, the REST API."""
