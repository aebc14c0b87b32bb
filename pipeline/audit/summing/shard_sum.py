"""Summing up the audit of one shard, a clip at a time."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.audit.clips.coverage import CELLS
from pipeline.audit.clips.labels import ClipMeasures
from pipeline.audit.stored.clip_audit import ClipAudit, TrackAudit
from pipeline.audit.summing.records import ClipBrief, ShardSummary
from pipeline.audit.summing.sums import (
    CLIP_HISTOGRAMS,
    MICROSECONDS,
    NUM_BORDERLINE,
    NUM_ERRORS,
    NUM_KEEPS,
    NUM_LOWEST,
    SPEED_EDGES_PX,
    TRACK_HISTOGRAMS,
    UNIT,
    ListedClip,
    PartialSum,
    bin_counts,
    first_of,
    measure_edges,
)
from pipeline.audit.tracks.static_gate import STATIC_SCORE
from pipeline.audit.verdict import DECISIONS, REASONS, ClipRules

TRUSTED = 0.5  # weight from which on a track is called trusted
NEAR_LIMIT = 0.1  # a clip is borderline if one of its measures lies within a tenth of its limit
_UNMEASURED_RANK = 2.0  # of clips that are not kept and have no tracks; a mean weight lies in [0, 1]
_RANKS = {"error": 0.0, "quarantine": 0.0, "drop": 0.0, "keep": 4.0}  # kept clips come last, however little their tracks weigh


@dataclass(frozen=True, slots=True)
class _Clip:
    audit: ClipAudit
    brief: ClipBrief


def sum_clips(shard: int, clips: Iterable[ClipAudit], rules: ClipRules) -> PartialSum:
    """Sums over the clips of one shard; one clip is held at a time.

    Args:
        rules: by which the clips were judged: what is near to their limits is borderline.
    """
    part, of_reasons = PartialSum(), Counter[str]()
    for audit in clips:
        clip = _Clip(audit, _brief(shard, audit))
        _count_clip(part, audit)
        of_reasons.update(audit.verdict.reasons)
        if audit.tracks is not None and audit.measures is not None:
            _count_tracks(part, audit, audit.tracks, audit.measures)
        _list_clip(part, clip, rules)
    tracks = part.totals["num_tracks"]
    part.shards = [
        ShardSummary(
            shard=shard,
            decisions=dict(part.decisions),
            num_tracks=tracks,
            mean_weight=part.totals["weight"] / UNIT / tracks if tracks else float("nan"),
            worst_reason=_worst_reason(part.decisions, of_reasons),
        )
    ]
    return part


def limit_distance(measures: ClipMeasures, rules: ClipRules) -> float:
    """Distance of a clip's measures to the nearest limit: min over the rules of |value - limit| / limit; infinite if none is known."""
    pairs = (
        (measures.usable_tracks, rules.min_usable_tracks),
        (measures.bad_probability_mean, rules.bad_probability),
        (measures.survival_4, rules.survival_4),
        (measures.collapse_share, rules.collapse_share),
        (measures.flicker_mean, rules.flicker),
        (measures.deaths_max, rules.deaths),
        (measures.cover_entropy, rules.cover_entropy),
        (measures.stuck_share, rules.stuck_share),
    )
    return min((abs(value - limit) / limit for value, limit in pairs if limit > 0 and not np.isnan(value)), default=float("inf"))


def _count_clip(part: PartialSum, audit: ClipAudit) -> None:
    kept = audit.verdict.decision == "keep"
    video_us = round(audit.video_s * MICROSECONDS)
    part.decisions[audit.verdict.decision] += 1
    part.reasons.update(audit.verdict.reasons)
    part.licenses[audit.license or "unknown"] += 1
    part.totals.update({"video_us": video_us, "video_us_kept": video_us if kept else 0, "num_frames": audit.num_frames})


def _count_tracks(part: PartialSum, audit: ClipAudit, tracks: TrackAudit, measures: ClipMeasures) -> None:
    values = {"weight": tracks.weight, "bad_probability": tracks.bad_probability, **tracks.measures}
    of_clip = asdict(measures)
    for row, name in enumerate(TRACK_HISTOGRAMS):
        found = values[name]
        part.histograms[row] += counted(name, np.full(len(tracks.weight), np.nan) if found is None else found)
    for row, name in enumerate(CLIP_HISTOGRAMS, start=len(TRACK_HISTOGRAMS)):
        part.histograms[row] += counted(name, np.array([of_clip[name]], np.float64))
    units = _units(tracks.weight)
    part.totals.update(
        num_tracks=len(units),
        num_visible=int(tracks.measures["len"].sum(dtype=np.float64)),
        weight=int(units.sum()),
        trusted=int((tracks.weight >= TRUSTED).sum()),
    )
    _count_groups(part, audit, tracks, units if audit.verdict.decision == "keep" else np.zeros_like(units))


def counted(name: str, values: np.ndarray) -> np.ndarray:
    """Values in the bins of a measure, and last the unknown ones (NaN); int64 "21"."""
    return np.append(bin_counts(values, measure_edges(name)), np.isnan(values).sum()).astype(np.int64)


def _count_groups(part: PartialSum, audit: ClipAudit, tracks: TrackAudit, units: np.ndarray) -> None:
    """Tracks and their remaining weight, by motion, by cell of the image, by speed."""
    score = tracks.static_score
    motion = np.where(np.isnan(score), "undecided", np.where(score >= STATIC_SCORE, "static", "dynamic"))
    for name in ("static", "dynamic", "undecided"):
        _add_group(part, f"motion: {name}", motion == name, units)
    places = (tracks.queries[:, 1:] + 0.5) * CELLS / np.array([max(audit.width, 1), max(audit.height, 1)])
    column, row = np.clip(np.floor(places), 0, CELLS - 1).astype(np.int64).T
    for cell in np.unique(row * CELLS + column):
        _add_group(part, f"cell: {cell // CELLS},{cell % CELLS}", row * CELLS + column == cell, units)
    _add_group(part, "speed: unknown", np.isnan(tracks.speed_px), units)
    known = ~np.isnan(tracks.speed_px)
    places = np.searchsorted(SPEED_EDGES_PX, tracks.speed_px[known].astype(np.float64), side="right")
    np.add.at(part.speeds, (0, places), 1)
    np.add.at(part.speeds, (1, places), units[known])


def _add_group(part: PartialSum, group: str, members: np.ndarray, units: np.ndarray) -> None:
    part.group_tracks[group] += int(members.sum())
    part.group_weight[group] += int(units[members].sum())


def _list_clip(part: PartialSum, clip: _Clip, rules: ClipRules) -> None:
    audit, brief = clip.audit, clip.brief
    decision = audit.verdict.decision
    chance = int(hashlib.sha256(brief.key.encode()).hexdigest()[:12], 16) / 2**48
    if decision == "error":
        part.errors = first_of([*part.errors, ListedClip(rank=chance, brief=brief)], NUM_ERRORS)
    if decision == "keep":
        part.keeps = first_of([*part.keeps, ListedClip(rank=chance, brief=brief)], NUM_KEEPS)
    measured = audit.measures is not None and brief.num_tracks > 0
    if measured or decision in ("quarantine", "drop"):
        rank = _RANKS[decision] + brief.mean_weight if measured else _UNMEASURED_RANK + chance
        part.lowest = first_of([*part.lowest, ListedClip(rank=rank, brief=brief)], NUM_LOWEST)
    if audit.measures is not None and measured and decision in ("keep", "quarantine"):
        distance = limit_distance(audit.measures, rules)
        if distance <= NEAR_LIMIT:
            part.borderline = first_of([*part.borderline, ListedClip(rank=distance, brief=brief)], NUM_BORDERLINE)


def _brief(shard: int, audit: ClipAudit) -> ClipBrief:
    num_tracks = 0 if audit.tracks is None else len(audit.tracks.weight)
    weight = 0 if audit.tracks is None else int(_units(audit.tracks.weight).sum())
    return ClipBrief(
        key=audit.key,
        shard=shard,
        verdict=audit.verdict,
        num_tracks=num_tracks,
        mean_weight=weight / UNIT / num_tracks if num_tracks else float("nan"),
        video_s=audit.video_s,
    )


def _units(weight: np.ndarray) -> np.ndarray:
    return np.rint(weight.astype(np.float64) * UNIT).astype(np.int64)


def _worst_reason(decisions: Counter[str], reasons: Counter[str]) -> str:
    """The commonest of the reasons for the gravest decision; the first by name among equals."""
    gravest = max(decisions, key=DECISIONS.index, default="keep")
    fitting = sorted(reason for reason in reasons if REASONS[reason] == gravest and gravest != "keep")
    return max(fitting, key=lambda reason: reasons[reason], default="")
