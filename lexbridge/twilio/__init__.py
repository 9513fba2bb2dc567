"""Everything that is Twilio's: media messages, TwiML, signatures, the REST API."""
