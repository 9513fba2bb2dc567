"""Answers of ADMIN_PORT: the console's pages and API, live events, and who may ask."""
