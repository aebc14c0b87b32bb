"""Publishing labels: which shards, and the order of things."""
