"""Lightweight Twilio for hundreds of real-time calls."""
