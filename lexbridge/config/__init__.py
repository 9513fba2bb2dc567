"""The settings: an entry for each, reading and checking them, doubts about valid ones, and their description."""
