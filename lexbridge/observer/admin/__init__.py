"""What ADMIN_PORT answers: the console's pages and API, live events, and who may ask."""
