"""Labelers of depth."""
