"""From sums to the summary of an audit."""

import numpy as np

from pipeline.audit.summing.bins import CLIP_HISTOGRAMS, TRACK_HISTOGRAMS, measure_edges
from pipeline.audit.summing.partial import MICROSECONDS, NUM_LOWEST, UNIT, PartialSum
from pipeline.audit.summing.records import AuditSummary, Histogram, WeightMass
from pipeline.audit.verdict import DECISIONS

SPEED_THIRDS = ("speed: slowest third", "speed: middle third", "speed: fastest third")


def summary_of(whole: PartialSum) -> AuditSummary:
    """The summary that all clips together give; what is listed first is worst, or most borderline."""
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
