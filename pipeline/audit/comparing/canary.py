"""Canary clips: some clips, the same ones for ever, whose labels are compared track by track."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline.audit.clips.small import known_mean, known_median
from pipeline.audit.comparing.records import CanaryClip, CanaryReport, DriftRules, Relation
from pipeline.audit.tracks.agreement import agreement
from pipeline.border import begin_part
from pipeline.errors import DataError
from pipeline.labels import read_label_shard
from pipeline.records import LabelSet, TrackLabels

NEUTRAL = ("screen", "cycle", "version", "code_version")  # settings of a label set that do not move its tracks


class CanaryCandidate(NamedTuple):
    """A clip that may be a canary; the smallest are chosen."""

    order: str  # hash of the key
    shard: int
    key: str


def candidates(keys: Iterable[str], shard: int, count: int) -> list[CanaryCandidate]:
    """The `count` clips whose keys have the smallest SHA-256: a choice that neither order nor number of the other clips changes."""
    return sorted(CanaryCandidate(hashlib.sha256(key.encode()).hexdigest(), shard, key) for key in keys)[:count]


def relation(first: LabelSet, second: LabelSet) -> Relation:
    """Relation of the second label set to the first: same labels, rerun (made by the same settings) or upgrade (by others)."""
    if first.name == second.name:
        return "same labels"
    same = _identity(first) == _identity(second)
    return "rerun" if same else "upgrade"


def measure_canaries(root: str, label_sets: tuple[str, str], shard: int, keys: Sequence[str]) -> list[CanaryClip]:
    """Compare the labels of some clips of a shard. Raises: DataError naming file and clip if labels do not read."""
    first, second = (read_label_shard(root, name, shard) for name in label_sets)
    clips = []
    for key in keys:
        begin_part(key)
        entry = first.entry(key)
        if entry.width is None or entry.height is None:
            raise DataError(f"{first.uri}: clip {key} has labels, but no width and height; delete this file and label the shard again")
        clips.append(canary_clip(key, first.tracks(key), second.tracks(key), height=entry.height, width=entry.width))
    return clips


def canary_clip(key: str, first: TrackLabels, second: TrackLabels, *, height: int, width: int) -> CanaryClip:
    """One clip in both sets, `height` x `width` pixels. Raises: DataError if the sets are of different lengths."""
    pairs = agreement(first, second, height=height, width=width)
    mine = {tuple(query) for query in second.queries.tolist()}
    return CanaryClip(
        key=key,
        num_tracks=len(first.queries),
        num_paired=sum(tuple(query) in mine for query in first.queries.tolist()),
        agree_aj=known_mean(pairs.agree_aj),
        displacement_px=known_median(pairs.disagree_median),
        visible_iou=known_mean(pairs.visible_iou),
    )


def canary_report(relation: Relation, clips: Sequence[CanaryClip], rules: DriftRules) -> CanaryReport:
    """Judge the canary clips together: the mean AJ of those that have pairs against what the relation promises."""
    least = rules.upgrade_agreement if relation == "upgrade" else rules.rerun_agreement
    agree = known_mean(np.array([clip.agree_aj for clip in clips]))
    fails = agree < least
    return CanaryReport(
        relation=relation,
        least_agreement=least,
        clips=tuple(clips),
        agree_aj=agree,
        displacement_px=known_median([clip.displacement_px for clip in clips]),
        visible_iou=known_mean(np.array([clip.visible_iou for clip in clips])),
        level="fail" if fails else "fine",
        note=_note(relation, clips, agree, least),
    )


def _note(relation: Relation, clips: Sequence[CanaryClip], agree: float, least: float) -> str:
    if not clips:
        return "no canary clip"
    paired = [clip for clip in clips if clip.num_paired]
    if not paired:
        return "the two label sets share no query, so no track can be paired; label with the same query policy to compare them"
    if np.isnan(agree):
        return "no paired track is visible beside its query, so their agreement is unknown"
    worst = min((clip for clip in paired if not np.isnan(clip.agree_aj)), key=lambda clip: clip.agree_aj)
    promise = f"{'below' if agree < least else 'at least'} the {least:g} of {'an upgrade' if relation == 'upgrade' else 'a rerun'}"
    return f"mean agreement {agree:.3f}, {promise}; worst {worst.key} ({worst.agree_aj:.3f})"


def _identity(label_set: LabelSet) -> tuple[Any, ...]:
    return (label_set.labeler, _stripped(label_set.configuration), label_set.checkpoint_sha256, label_set.precision)


def _stripped(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without the entries that do not move the tracks."""
    return {name: _stripped(value) if isinstance(value, Mapping) else value for name, value in configuration.items() if name not in NEUTRAL}
