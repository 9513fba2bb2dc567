"""What detectors make of a recording."""
