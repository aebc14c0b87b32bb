"""Learning, where the truth is known, what the measures say about a track."""
