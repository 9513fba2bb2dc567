"""The phone in the browser: a microphone as the caller of a simulated Twilio call at a bridge."""
