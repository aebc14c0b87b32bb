"""Moving things of synthetic clips: rigid ones, figures that walk, and things that deform."""
