"""Analysis of a recording: what each detector takes for speech."""
