"""The rules of one call: pure, in media time, without I/O."""
