"""The one infinite sequence: which planned clip stands at index i, which of its frames come, and which dataset of a mixture is next.

Pure functions of the plan's counts, the weights and the seed. Index i is place i % n of epoch i // n, where n is the number of planned
clips. Each epoch permutes the shards, takes blocks of K shards in that order, and permutes the clips within each block: reading in
order touches K shards at a time, and finding index i needs no walk from the start.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.stream.config import StreamConfig

# Second words of the draws' seeds, where the order has an epoch: windows, and datasets of a mixture.
_WINDOW, _PART = 2**32 - 1, 2**32 - 2
_MIXED_PLACES = 64
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # (sqrt(5) - 1) / 2 of the 64-bit circle


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShuffleBlock:
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

    def block_at(self, index: int) -> ShuffleBlock:
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
        return ShuffleBlock(first=first, shards=self.shards[members], counts=counts, shard_at=shard_at, clip_at=clip_at)

    def blocks_from(self, index: int) -> Iterator[ShuffleBlock]:
        """The block in which index i lies, and all after it, without end."""
        while True:
            block = self.block_at(index)
            yield block
            index = block.end


@dataclass(frozen=True, kw_only=True, slots=True)
class PartOrder:
    """The datasets 0, 1, ... of a mixture in proportion to their weights, which need not sum to 1.

    Places are dealt to the datasets by the golden-ratio sequence, which keeps the share of every stretch of n places within about
    log(n) / n of the weights. It is regular, though: readers that take every W-th place might get one dataset for long. So places
    are mixed within blocks before they are dealt.
    """

    weights: tuple[float, ...]
    seed: int
    places_per_draw: int = 1  # so many places from a multiple of it on are of one dataset

    def parts(self, first: int, end: int) -> np.ndarray:
        """Datasets at the places [first, end), int64 "N"."""
        if end <= first:
            return np.zeros(0, np.int64)
        run = self.places_per_draw
        draws = self._draws(first // run, (end - 1) // run + 1)
        return draws[np.arange(first, end) // run - first // run]

    def _draws(self, first: int, end: int) -> np.ndarray:
        numbers = range(first // _MIXED_PLACES, (end - 1) // _MIXED_PLACES + 1)
        return np.concatenate([self._block(number) for number in numbers])[first - numbers[0] * _MIXED_PLACES :][: end - first]

    def parts_from(self, first: int) -> Iterator[int]:
        """Datasets at place `first` and all after it, without end."""
        while True:
            end = (first // _MIXED_PLACES + 1) * _MIXED_PLACES
            yield from self.parts(first, end).tolist()
            first = end

    def _block(self, number: int) -> np.ndarray:
        places = number * _MIXED_PLACES + permutation(_MIXED_PLACES, self.seed, _PART, number)
        start = np.random.PCG64(np.random.SeedSequence([self.seed, _PART])).random_raw(1)
        where = start + places.astype(np.uint64) * _GOLDEN  # modulo 2^64: on the circle
        shares = np.cumsum(self.weights)
        bounds = np.array([min(int(share / shares[-1] * 2**64), 2**64 - 1) for share in shares[:-1]], np.uint64)
        return np.searchsorted(bounds, where, side="right").astype(np.int64)


def span_frames(config: StreamConfig) -> int:
    """Stored frames that a full window covers, from its first to its last; 1 when whole clips are delivered."""
    return 1 if config.num_frames is None else (config.num_frames - 1) * config.frame_stride + 1


def is_too_short(config: StreamConfig, num_stored: int) -> bool:
    """Whether a clip is left out for its length: only with `short_clips="skip"`."""
    return config.short_clips == "skip" and num_stored < span_frames(config)


def window_indices(config: StreamConfig, index: int, num_stored: int) -> np.ndarray:
    """Frames of the stored clip to deliver at index i.

    The start is uniform among those that leave room for the window. A clip that is too short for one, and every clip with
    `num_frames=None`, is delivered from its first frame to its end at the stride.

    Args:
        num_stored: frames of the stored clip.
    Returns: int64 "T", increasing.
    """
    spare = num_stored - span_frames(config)
    if config.num_frames is None or spare < 0:
        return np.arange(0, num_stored, config.frame_stride)
    # Raw output, which numpy never changes; the modulo's bias is below spare / 2^64.
    start = np.random.PCG64(np.random.SeedSequence([config.seed, _WINDOW, index])).random_raw() % (spare + 1)
    return start + config.frame_stride * np.arange(config.num_frames)


def permutation(length: int, *words: int) -> np.ndarray:
    """A permutation of `range(length)`, int64, drawn from `words` (not negative).

    It sorts the generator's raw output, which numpy keeps the same for ever; its own `permutation` may change between
    versions, and a state saved under one would then lose and repeat clips under another.
    """
    return np.argsort(np.random.PCG64(np.random.SeedSequence(words)).random_raw(length), kind="stable")
