"""Labelling a dataset's shards: items of clips, the worker that labels them, and the pool that survives bad ones."""
