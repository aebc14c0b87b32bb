"""One clip: its truth and its labels read, joined query by query, and measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.evaluating.measures import ClipMeasures, measure_clip
from pipeline.errors import ConfigError, DataError
from pipeline.labels import LabelShard
from pipeline.metrics.error_histogram import ErrorHistogram
from pipeline.metrics.label_comparison import LabelComparison, compare_labels, match_queries
from pipeline.records import ClipRecord, TrackLabels, TrackTruth
from pipeline.shards.index import ARRAYS, ClipEntry
from pipeline.shards.track_truth import read_track_truth


@dataclass(slots=True)
class SetProgress:
    """One label set while the shards are walked."""

    name: str
    clips: list[ClipMeasures]
    errors: ErrorHistogram
    shard: LabelShard | None = None  # labels of the shard at hand; None while it is not labelled


def measure_in_all(root: str, entry: ClipEntry, sets: Sequence[SetProgress], *, query_mode: str) -> str | None:
    """Measure a clip in every set, or in none: sets are compared on the same clips. Gives why it is left out, or None.

    Raises: DataError if truth or labels cannot be read; ConfigError if no query of a set is a true point of the clip.
    """
    record = entry.record
    if record is None:
        return "not cut"
    if entry.member(ARRAYS) is None:
        return "no true tracks"
    for labelled in sets:
        status = labelled.shard.entry(entry.key).status if labelled.shard else "not labelled"
        if status != "ok":
            return f"{labelled.name}: {status}"
    truth = read_track_truth(root, entry)
    if truth is None:
        return "no true tracks"
    compared = [_compare(labelled, record, truth, query_mode=query_mode) for labelled in sets]
    for labelled, (comparison, num_unmatched) in zip(sets, compared, strict=True):
        labelled.clips.append(measure_clip(entry.key, comparison, num_unmatched=num_unmatched))
        labelled.errors.add(comparison)
    return None


def _compare(labelled: SetProgress, record: ClipRecord, truth: TrackTruth, *, query_mode: str) -> tuple[LabelComparison, int]:
    """The labels that have a true track beside it, and how many have none."""
    if labelled.shard is None:
        raise DataError(f"clip {record.key} is not labelled by {labelled.name}")
    labelled.shard.check_clip(record.key, record.sha256)
    labels = labelled.shard.labels(record.key)
    tracks = match_queries(labels.queries, truth)
    matched = np.flatnonzero(tracks >= 0)
    if len(tracks) and not len(matched):
        raise ConfigError(
            f"label set {labelled.name}, clip {record.key}: none of its {len(tracks)} queries is a true point of the clip, so nothing can"
            " be measured; label the dataset with jobs/pseudolabel.py --query-policy truth"
        )
    chosen = TrackLabels(queries=labels.queries[matched], tracks_px=labels.tracks_px[:, matched], visibility=labels.visibility[:, matched])
    try:
        comparison = compare_labels(chosen, truth.chosen(tracks[matched]), height=record.height, width=record.width, query_mode=query_mode)
    except DataError as error:
        raise DataError(f"label set {labelled.name}, clip {record.key}: {error}") from error
    return comparison, len(tracks) - len(matched)
