"""Audits and screens as they lie on disk."""
