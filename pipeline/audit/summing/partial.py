"""Sums over the clips of some shards, in whole numbers only: parts may be added in any grouping and order and give the same."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pipeline.audit.summing.bins import CLIP_HISTOGRAMS, NUM_BINS, TRACK_HISTOGRAMS
from pipeline.audit.summing.records import ClipBrief, ShardSummary

UNIT = 2**24  # a weight is counted in so many parts of 1
MICROSECONDS = 10**6
NUM_ERRORS, NUM_LOWEST, NUM_BORDERLINE, NUM_KEEPS = 8, 24, 12, 12
SPEED_EDGES_PX = np.geomspace(0.01, 100.0, 801)  # 1.2 % a bin: fine enough to cut the tracks in thirds


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedClip:
    """A clip that a report may list, with its place among others; the key decides between equals."""

    rank: float
    brief: ClipBrief

    @property
    def place(self) -> tuple[float, str]:
        """Smallest first."""
        return self.rank, self.brief.key


@dataclass(slots=True, eq=False)
class PartialSum:
    """What some shards say together. Weights are counted in parts of UNIT."""

    decisions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)  # video_us, video_us_kept, num_frames, num_tracks, num_visible, weight, trusted
    histograms: np.ndarray = field(default_factory=lambda: np.zeros((len(TRACK_HISTOGRAMS) + len(CLIP_HISTOGRAMS), NUM_BINS + 1), np.int64))
    group_tracks: Counter[str] = field(default_factory=Counter)  # group -> tracks
    group_weight: Counter[str] = field(default_factory=Counter)  # group -> what the kept clips give of their weight
    speeds: np.ndarray = field(default_factory=lambda: np.zeros((2, len(SPEED_EDGES_PX) + 1), np.int64))  # tracks, weight likewise
    shards: list[ShardSummary] = field(default_factory=list)
    errors: list[RankedClip] = field(default_factory=list)
    lowest: list[RankedClip] = field(default_factory=list)
    borderline: list[RankedClip] = field(default_factory=list)
    keeps: list[RankedClip] = field(default_factory=list)


_COUNTERS = ("decisions", "reasons", "licenses", "totals", "group_tracks", "group_weight")
_LISTS = {"errors": NUM_ERRORS, "lowest": NUM_LOWEST, "borderline": NUM_BORDERLINE, "keeps": NUM_KEEPS}


def merged(parts: Iterable[PartialSum]) -> PartialSum:
    """The sum of disjoint parts. Whatever the grouping and order, equal clips give an equal sum."""
    whole = PartialSum()
    for part in parts:
        for name in _COUNTERS:
            getattr(whole, name).update(getattr(part, name))
        whole.histograms += part.histograms
        whole.speeds += part.speeds
        whole.shards = sorted([*whole.shards, *part.shards], key=lambda line: line.shard)
        for name, most in _LISTS.items():
            setattr(whole, name, first_of([*getattr(whole, name), *getattr(part, name)], most))
    return whole


def first_of(candidates: Iterable[RankedClip], most: int) -> list[RankedClip]:
    """The first so many by rank, and by key among equals."""
    return sorted(candidates, key=lambda candidate: candidate.place)[:most]
