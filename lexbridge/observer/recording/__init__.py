"""Recordings of calls: a stereo WAV file and the time line of each."""
