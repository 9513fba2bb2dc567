"""The Flask application: the webhooks, and the media socket's route."""
