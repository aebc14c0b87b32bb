"""The one infinite sequence: which planned clip stands at index i. Pure functions of the plan's counts and the seed.

Index i is place i % n of epoch i // n, where n is the number of planned clips. Each epoch permutes the shards, takes blocks
of K shards in that order, and permutes the clips within each block: reading in order touches K shards at a time, and
finding index i needs no walk from the start.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Block:
    """Consecutive indices of one epoch, whose clips all lie in the same few shards. B clips of S shards."""

    first: int  # index i of the block's first clip
    shards: np.ndarray  # int64 "S", shard numbers
    counts: np.ndarray  # int64 "S", planned clips of each
    shard_at: np.ndarray  # int64 "B": which of `shards` holds the clip at each place
    clip_at: np.ndarray  # int64 "B": which clip it is among the shard's planned clips of the split

    @property
    def end(self) -> int:
        """The index after the block's last clip."""
        return self.first + len(self.shard_at)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipOrder:
    """Order of the planned clips. `shards` are shard numbers, `counts` how many clips each holds; empty ones are passed over."""

    shards: np.ndarray  # int64 "S"
    counts: np.ndarray  # int64 "S"
    seed: int
    shuffle: bool = True
    block_shards: int = 8

    def __post_init__(self) -> None:
        if self.num_clips == 0:
            raise ConfigError("the plan holds no clip to stream; check the split that was asked for")

    @property
    def num_clips(self) -> int:
        """n, the length of an epoch."""
        return int(self.counts.sum())

    def block_at(self, index: int) -> Block:
        """The block in which index i lies. Costs O(number of shards)."""
        epoch, place = divmod(index, self.num_clips)
        order = np.flatnonzero(self.counts)
        if self.shuffle:
            order = order[permutation(len(order), self.seed, epoch, 0)]
        ends = np.cumsum(self.counts[order])
        number = int(np.searchsorted(ends, place, side="right")) // self.block_shards
        members = order[number * self.block_shards : (number + 1) * self.block_shards]
        before = int(ends[number * self.block_shards - 1]) if number else 0
        counts = self.counts[members]
        shard_at = np.repeat(np.arange(len(members)), counts)
        clip_at = np.arange(len(shard_at)) - np.repeat(np.cumsum(counts) - counts, counts)
        if self.shuffle:
            mixed = permutation(len(shard_at), self.seed, epoch, 1 + number)
            shard_at, clip_at = shard_at[mixed], clip_at[mixed]
        first = epoch * self.num_clips + before
        return Block(first=first, shards=self.shards[members], counts=counts, shard_at=shard_at, clip_at=clip_at)

    def blocks_from(self, index: int) -> Iterator[Block]:
        """The block in which index i lies, and all after it, without end."""
        while True:
            block = self.block_at(index)
            yield block
            index = block.end


def permutation(length: int, *words: int) -> np.ndarray:
    """A permutation of `range(length)`, int64, drawn from `words` (not negative).

    It sorts the generator's raw output, which numpy keeps the same for ever; its own `permutation` may change between
    versions, and a state saved under one would then lose and repeat clips under another.
    """
    return np.argsort(np.random.PCG64(np.random.SeedSequence(words)).random_raw(length), kind="stable")
