"""Measuring label sets as a stage: a unit is a shard, a part is a clip, whose truth and labels are joined query by query."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jobs.evaluating.measures import LabelMeasures, clip_document, measure_clip
from jobs.evaluating.shard_results import ShardResults, error_documents
from pipeline import storage
from pipeline.border import begin_part, border
from pipeline.errors import ConfigError, DataError
from pipeline.labels import LabelShard, read_label_shard
from pipeline.layout import Layout
from pipeline.metrics.error_histogram import ErrorHistogram
from pipeline.metrics.label_comparison import LabelComparison, compare_labels, match_true_queries
from pipeline.records import ClipRecord, TrackLabels, TrackTruth
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.index import ARRAYS, ClipEntry, read_index
from pipeline.shards.suspects import hold_back_suspects
from pipeline.shards.tombstones import read_tombstones
from pipeline.shards.track_truth import read_track_truth

UNREADABLE = "cannot be read"


@dataclass(slots=True)
class ShardOfSet:
    """One label set in one shard, and what is measured of it."""

    name: str
    labels: LabelShard | None  # None: it is not labelled
    clips: list[LabelMeasures] = field(default_factory=list)
    errors: ErrorHistogram = field(default_factory=ErrorHistogram)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateStage:
    """All label sets on the clips of a shard; a clip is measured in every set, or in none."""

    root: str
    label_sets: tuple[str, ...]
    split: str | None
    query_mode: str
    sizes: Mapping[int, int]  # shard -> planned clips of the split
    results: ShardResults

    def run(self, unit: int, crashed: Mapping[str, str]) -> dict[str, Any]:
        entries, sets = self._entries(unit), self._open(unit)
        left_out: Counter[str] = Counter()
        errors: list[ErrorRow] = []
        for entry in entries:
            begin_part(entry.key)
            try:
                reason = self._measured(entry, sets, crashed.get(entry.key))
            except DataError as error:
                errors.append(ErrorRow.of(error, stage="evaluation", key=entry.key, source=entry.source))
                reason = UNREADABLE
            left_out.update([reason] if reason else [])
        begin_part(None)
        hold_back_suspects(errors, len(entries))
        document = {
            "num_clips": len(entries),
            "left_out": dict(left_out),
            "errors": error_documents(errors),
            "sets": [{"clips": [clip_document(clip) for clip in one.clips], "errors_px": one.errors.document()} for one in sets],
        }
        return self.results.publish(unit, document)

    def size(self, unit: int) -> int:
        return self.sizes[unit]

    def parts(self, unit: int) -> Sequence[str]:
        return [entry.key for entry in self._entries(unit)]

    def trial(self, unit: int, part: str) -> None:
        entry = next(entry for entry in self._entries(unit) if entry.key == part)
        self._measured(entry, self._open(unit), None)

    def _measured(self, entry: ClipEntry, sets: Sequence[ShardOfSet], crash: str | None) -> str | None:
        if crash is not None:
            raise DataError(crash)
        with border(f"clip {entry.key}"):
            return measure_in_all(self.root, entry, sets, query_mode=self.query_mode)

    def _entries(self, shard: int) -> list[ClipEntry]:
        tombstones = read_tombstones(self.root)
        found = read_index(self.root, shard)
        return [entry for entry in found if self.split in (None, entry.split) and not tombstones.cover(entry)]

    def _open(self, shard: int) -> list[ShardOfSet]:
        return [ShardOfSet(name=name, labels=self._labels(name, shard)) for name in self.label_sets]

    def _labels(self, name: str, shard: int) -> LabelShard | None:
        there = storage.exists(Layout(self.root).label_shard(name, shard))
        return read_label_shard(self.root, name, shard) if there else None


def measure_in_all(root: str, entry: ClipEntry, sets: Sequence[ShardOfSet], *, query_mode: str) -> str | None:
    """Measure a clip in every set, or in none: sets are compared on the same clips. Gives why it is left out, or None.

    Raises: DataError if truth or labels cannot be read; ConfigError if no query of a set is a true point of the clip.
    """
    record = entry.record
    if record is None:
        return "not cut"
    if entry.member(ARRAYS) is None:
        return "no true tracks"
    for labelled in sets:
        status = labelled.labels.entry(entry.key).status if labelled.labels else "not labelled"
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


def _compare(labelled: ShardOfSet, record: ClipRecord, truth: TrackTruth, *, query_mode: str) -> tuple[LabelComparison, int]:
    """The labels that have a true track beside it, and how many have none."""
    if labelled.labels is None:
        raise DataError(f"clip {record.key} is not labelled by {labelled.name}")
    labelled.labels.check_clip(record.key, record.sha256)
    labels = labelled.labels.tracks(record.key)
    try:
        tracks = match_true_queries(labels.queries, truth)
    except ConfigError as error:
        raise ConfigError(f"label set {labelled.name}, clip {record.key}: {error}") from error
    matched = np.flatnonzero(tracks >= 0)
    chosen = TrackLabels(queries=labels.queries[matched], tracks_px=labels.tracks_px[:, matched], visibility=labels.visibility[:, matched])
    try:
        comparison = compare_labels(chosen, truth.chosen(tracks[matched]), height=record.height, width=record.width, query_mode=query_mode)
    except DataError as error:
        raise DataError(f"label set {labelled.name}, clip {record.key}: {error}") from error
    return comparison, len(tracks) - len(matched)
