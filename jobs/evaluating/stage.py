"""Measuring label sets as a stage: a unit is a shard, a part is a clip."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.evaluating.clip import ShardOfSet, measure_in_all
from jobs.evaluating.measures import clip_document
from jobs.evaluating.shard_results import ShardResults, error_documents
from pipeline import storage
from pipeline.border import begin_part, border
from pipeline.errors import DataError
from pipeline.labels import LabelShard, read_label_shard
from pipeline.layout import Layout
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.index import ClipEntry, read_index
from pipeline.shards.suspects import hold_back_suspects
from pipeline.shards.tombstones import read_tombstones

_LOG = logging.getLogger(__name__)
UNREADABLE = "cannot be read"


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
                _LOG.warning("left out: %s", error)
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
