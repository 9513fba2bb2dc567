"""What `server.py --check=live` asks AWS, Twilio and the service itself."""
