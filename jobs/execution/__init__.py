"""Execution of work in this process or on Ray; the same plan either way."""
