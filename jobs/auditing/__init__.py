"""Auditing clips and labels: the stages, and the order of things."""
