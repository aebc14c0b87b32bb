"""Cutting and registering shards: the stages, and the order in which they run."""
