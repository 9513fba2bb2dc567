"""Rules of one call: pure, in media time, without I/O and without a carrier."""
