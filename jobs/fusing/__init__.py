"""Consensus of label sets: what they say of a clip, the worker that fuses it, and the label set of tracks that is made."""
