"""What moves in synthetic clips: rigid things, figures that walk, and things that deform."""
