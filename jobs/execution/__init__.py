"""Where work runs: in this process, or on Ray; the same plan either way."""
