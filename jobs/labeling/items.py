"""The unit of labelling: a few clips of one shard, and what comes back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.errors import UnexpectedError
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
    quarantined: int  # did not fit into memory; clips that cost their worker are counted by the driver
    screened: int  # left out on purpose
    degraded: int  # of `ok`: labelled otherwise than configured, such as on a lower rung of the memory ladder
    values: int  # labelled: point-frames of tracks, pixels of depth
    busy_s: float  # spent in the labeler, without the waiting
    waited_s: float  # the labeler stood still, waiting for frames: before the item, and within long clips
    unexpected: Mapping[str, UnexpectedError] = field(default_factory=dict)  # by key: of the failed ones, those that nobody foresaw

    @property
    def clips(self) -> int:
        """How many the item had."""
        return self.ok + self.failed + self.quarantined + self.screened

    @property
    def errors(self) -> int:
        """How many of them went wrong."""
        return self.failed + self.quarantined


def items_of(shard: int, entries: Sequence[ClipEntry], clips_per_batch: int) -> Iterator[LabelItem]:
    """A shard's clips in batches."""
    for first in range(0, len(entries), clips_per_batch):
        yield LabelItem(shard=shard, first=first, entries=tuple(entries[first : first + clips_per_batch]))
