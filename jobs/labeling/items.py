"""The unit of labelling: a few clips of one shard, and what comes back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.labels import LabelRow, encode_rows
from pipeline.shards.index import ClipEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelItem:
    """Consecutive clips of a shard that share a batch; `first` is the place of the first among the shard's clips."""

    shard: int
    first: int
    entries: tuple[ClipEntry, ...]

    def singles(self) -> list["LabelItem"]:
        """The same clips, each an item of its own."""
        return [LabelItem(shard=self.shard, first=self.first + place, entries=(entry,)) for place, entry in enumerate(self.entries)]


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemSummary:
    """What the driver needs to know of an item; the rows themselves go from worker to writer."""

    ok: int
    failed: int
    screened: int  # left out on purpose
    points: int  # point-frames labelled
    busy_s: float  # spent in the labeler
    waited_s: float  # the labeler stood still before, waiting for frames

    @property
    def clips(self) -> int:
        """How many the item had."""
        return self.ok + self.failed + self.screened


def items_of(shard: int, entries: Sequence[ClipEntry], clips_per_batch: int) -> Iterator[LabelItem]:
    """A shard's clips in batches."""
    for first in range(0, len(entries), clips_per_batch):
        yield LabelItem(shard=shard, first=first, entries=tuple(entries[first : first + clips_per_batch]))


def row_without_labels(entry: ClipEntry, status: str, error: str) -> LabelRow:
    """The row of a clip that could not be labelled."""
    record = entry.record
    if record is None:
        return LabelRow(key=entry.key, status=status, error=error)
    return LabelRow(
        key=entry.key,
        status=status,
        clip_sha256=record.sha256,
        num_frames=record.frames,
        width=record.width,
        height=record.height,
        error=error,
    )


def quarantine_table(entry: ClipEntry, error: str) -> pa.Table:
    """The encoded row of one quarantined clip."""
    return encode_rows([row_without_labels(entry, "quarantined", error)])
