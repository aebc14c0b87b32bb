"""Exporting clips to the formats of other trainers and benchmarks: the stage, and the order of things."""
