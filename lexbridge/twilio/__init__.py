"""The carrier Twilio: media messages, TwiML, signatures and the REST API."""
