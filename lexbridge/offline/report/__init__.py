"""What a simulated call was like: timeline, picture, sound file, verdict."""
