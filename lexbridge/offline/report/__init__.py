"""Reports on a simulated call: timeline, picture, sound file, verdict."""
