"""A model adapted to videos in one go: from the videos to a checkpoint, and what it makes of them."""
