"""Consensus: several label sets of one clip fused into one. Queries are matched, positions and visibility put to the vote."""
