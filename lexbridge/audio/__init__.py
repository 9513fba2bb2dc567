"""Sound: telephone audio, voice activity detectors, endpointing. It knows no call and no protocol."""
