"""Sums over the clips of some shards, in whole numbers and fixed bins, and the summary made of them.

Parts may be added in any grouping and order and give the same.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pipeline.audit.clips.labels import ClipMeasures
from pipeline.audit.records import measure_names
from pipeline.audit.summing.records import AuditSummary, ClipBrief, Histogram, ShardSummary, WeightMass
from pipeline.audit.verdict import DECISIONS

NUM_BINS = 20
_SHARE = tuple(step / NUM_BINS for step in range(NUM_BINS + 1))
_DISTANCE_PX = (0.0, 0.1, 0.2, 0.3, 0.45, 0.65, 0.9, 1.2, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.5, 8.0, 11.0, 16.0, 24.0, 40.0, 80.0)
_LIKENESS = (-1.0, -0.5, -0.2, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99, 1.0)
_SMALL_SHARE = (0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
_COUNT = (
    0.0,
    2.0,
    4.0,
    8.0,
    12.0,
    16.0,
    24.0,
    32.0,
    48.0,
    64.0,
    96.0,
    128.0,
    192.0,
    256.0,
    384.0,
    512.0,
    768.0,
    1024.0,
    2048.0,
    8192.0,
    1e6,
)
_TENFOLD = (0.0, *(1e-6 * 10 ** (step / 3) for step in range(NUM_BINS)))  # three bins a decade, 1e-6 .. 2

_EDGES = {
    **dict.fromkeys(("ncc_min", "ncc_mean", "ncc_step_min"), _LIKENESS),
    **dict.fromkeys(("weight", "bad_probability", "fb_agree", "vis_conf", "visible_iou", "agree_aj", "cover", "longest_run"), _SHARE),
    **dict.fromkeys(("collapse", "static_stick", "static_score"), _SHARE),
    **dict.fromkeys(("flicker", "oof"), _SMALL_SHARE),
    "texture": _TENFOLD,
    "len": _COUNT,
    **dict.fromkeys(("num_tracks", "usable_tracks", "mean_length"), _COUNT),
    **dict.fromkeys(("visible_share", "cover_entropy", "bad_probability_mean", "survival_4", "dynamic_ratio"), _SHARE),
    **dict.fromkeys(("deaths_max", "flicker_mean", "collapse_share", "stuck_share"), _SMALL_SHARE),
}
TRACK_HISTOGRAMS = ("weight", "bad_probability", *measure_names())  # what is counted of each track
CLIP_HISTOGRAMS = tuple(ClipMeasures.__dataclass_fields__)  # and of each clip
UNIT = 2**24  # a weight is counted in so many parts of 1
MICROSECONDS = 10**6
NUM_ERRORS, NUM_LOWEST, NUM_BORDERLINE, NUM_KEEPS = 8, 24, 12, 12
SPEED_EDGES_PX = np.geomspace(0.01, 100.0, 801)  # 1.2 % a bin: fine enough to cut the tracks in thirds
_COUNTERS = ("decisions", "reasons", "licenses", "totals", "group_tracks", "group_weight")
_LISTS = {"errors": NUM_ERRORS, "lowest": NUM_LOWEST, "borderline": NUM_BORDERLINE, "keeps": NUM_KEEPS}
SPEED_THIRDS = ("speed: slowest third", "speed: middle third", "speed: fastest third")


def measure_edges(name: str) -> tuple[float, ...]:
    """Edges of the 20 bins of a measure of tracks or clips, ascending. What is not listed is a distance in pixels of the raster.

    The first and the last bin also hold what lies beyond them.
    """
    return _EDGES.get(name, _DISTANCE_PX)


def bin_counts(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """Known values in each of K bins, int64 "K"; a value on an edge lies in the upper bin, NaN in none."""
    known = values[~np.isnan(values)].astype(np.float64)
    places = np.searchsorted(edges[1:-1], known, side="right")
    return np.bincount(places, minlength=len(edges) - 1).astype(np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedClip:
    """A clip that a report may list, with its place among others; the key decides between equals."""

    rank: float
    brief: ClipBrief

    @property
    def place(self) -> tuple[float, str]:
        """Smallest first."""
        return self.rank, self.brief.key


@dataclass(slots=True, eq=False)
class PartialSum:
    """Sums over some shards. Weights are counted in parts of UNIT."""

    decisions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)  # video_us, video_us_kept, num_frames, num_tracks, num_visible, weight, trusted
    histograms: np.ndarray = field(default_factory=lambda: np.zeros((len(TRACK_HISTOGRAMS) + len(CLIP_HISTOGRAMS), NUM_BINS + 1), np.int64))
    group_tracks: Counter[str] = field(default_factory=Counter)  # group -> tracks
    group_weight: Counter[str] = field(default_factory=Counter)  # group -> what the kept clips give of their weight
    speeds: np.ndarray = field(default_factory=lambda: np.zeros((2, len(SPEED_EDGES_PX) + 1), np.int64))  # tracks, weight likewise
    shards: list[ShardSummary] = field(default_factory=list)
    errors: list[ListedClip] = field(default_factory=list)
    lowest: list[ListedClip] = field(default_factory=list)
    borderline: list[ListedClip] = field(default_factory=list)
    keeps: list[ListedClip] = field(default_factory=list)


def merge_sums(parts: Iterable[PartialSum]) -> PartialSum:
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


def first_of(candidates: Iterable[ListedClip], most: int) -> list[ListedClip]:
    """The first so many by rank, and by key among equals."""
    return sorted(candidates, key=lambda candidate: candidate.place)[:most]


def summary_of(whole: PartialSum) -> AuditSummary:
    """Summary over all clips; its lists begin with the worst or most borderline clips."""
    totals = whole.totals
    errors = [candidate.brief for candidate in whole.errors]
    lowest = [candidate.brief for candidate in whole.lowest if candidate.brief.key not in {brief.key for brief in errors}]
    histograms = [_histogram(name, counts) for name, counts in zip((*TRACK_HISTOGRAMS, *CLIP_HISTOGRAMS), whole.histograms, strict=True)]
    return AuditSummary(
        decisions={decision: whole.decisions[decision] for decision in DECISIONS},
        reasons=dict(sorted(whole.reasons.items())),
        video_s=totals["video_us"] / MICROSECONDS,
        video_s_kept=totals["video_us_kept"] / MICROSECONDS,
        num_frames=totals["num_frames"],
        num_tracks=totals["num_tracks"],
        num_visible=totals["num_visible"],
        weight_sum=totals["weight"] / UNIT,
        trusted_tracks=totals["trusted"],
        track_histograms=tuple(histograms[: len(TRACK_HISTOGRAMS)]),
        clip_histograms=tuple(histograms[len(TRACK_HISTOGRAMS) :]),
        masses=(*_speed_masses(whole.speeds), *_masses(whole)),
        shards=tuple(whole.shards),
        worst=tuple([*errors, *lowest][:NUM_LOWEST]),
        borderline=tuple(candidate.brief for candidate in whole.borderline),
        random_keeps=tuple(candidate.brief for candidate in whole.keeps),
        licenses=dict(sorted(whole.licenses.items())),
    )


def _histogram(name: str, counts: np.ndarray) -> Histogram:
    return Histogram(measure=name, edges=measure_edges(name), counts=tuple(counts[:-1].tolist()), unknown=int(counts[-1]))


def _masses(whole: PartialSum) -> list[WeightMass]:
    return [
        WeightMass(group=group, num_tracks=count, weight=whole.group_weight[group] / UNIT)
        for group, count in sorted(whole.group_tracks.items())
    ]


def _speed_masses(speeds: np.ndarray) -> list[WeightMass]:
    """The tracks of known speed in thirds. A bin that a third ends in is shared out by counts."""
    counts, weights = speeds
    ends = np.concatenate([[0], np.cumsum(counts)])
    mass = np.concatenate([[0.0], np.cumsum(weights / UNIT)])
    limits = [int(ends[-1]) * third // 3 for third in range(4)]
    at_limits = np.interp(limits, ends, mass) if ends[-1] else np.zeros(4)
    return [
        WeightMass(group=group, num_tracks=limits[third + 1] - limits[third], weight=float(at_limits[third + 1] - at_limits[third]))
        for third, group in enumerate(SPEED_THIRDS)
    ]
