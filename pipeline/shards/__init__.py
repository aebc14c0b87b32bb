"""Clips in WebDataset shards: keys, plan, writing, and the index that commits a shard and finds its bytes again."""
