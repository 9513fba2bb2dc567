"""The checks of `server.py --check=live`: AWS, Twilio, and the service itself."""
