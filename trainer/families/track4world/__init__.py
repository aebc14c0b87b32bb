"""Losses of Track4World."""
