"""Summaries over all clips of an audit, and the gate of a label set."""
