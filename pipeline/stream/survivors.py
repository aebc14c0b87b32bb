"""The clips that are delivered, in the order of the infinite sequence: decided by metadata alone, so that all ranks agree."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.audit.stored.audit_rows import AuditShard
from pipeline.errors import DataError
from pipeline.labels import LabelShard
from pipeline.shards.index import ClipEntry
from pipeline.stream.catalog import ShardCatalog
from pipeline.stream.order import Block, ClipOrder


@dataclass(frozen=True, kw_only=True, slots=True)
class Survivor:
    """A clip to deliver: its place in the sequence, and where its bytes, labels and verdict lie."""

    index: int
    shard: int
    entry: ClipEntry
    labels: tuple[LabelShard, ...]  # one per label set, each of another kind
    audit: AuditShard | None


def survivors(order: ClipOrder, catalog: ShardCatalog, *, start: int, end: int | None) -> Iterator[Survivor]:
    """Walk the sequence from index `start`, leaving out what the metadata say; stops before index `end`, if given.

    Opens the shards of a block when it gets there, and none before.
    Raises: DataError after a whole epoch in which no clip was left; it would go on for ever.
    """
    left_out: Counter[str] = Counter()
    alive = start % order.num_clips > 0  # an epoch that is entered midway is not judged
    for block in order.blocks_from(start):
        for place in range(max(start - block.first, 0), len(block.shard_at)):
            index = block.first + place
            if end is not None and index >= end:
                return
            reason, survivor = _look(block, place, catalog)
            if survivor is None:
                left_out[reason] += 1
            else:
                alive = True
                yield survivor
        if block.end % order.num_clips == 0:
            if not alive:
                raise DataError(_nothing_left(left_out))
            alive = False
            left_out.clear()


def _look(block: Block, place: int, catalog: ShardCatalog) -> tuple[str, Survivor | None]:
    """Why the clip at this place is left out, or the survivor."""
    which, clip = int(block.shard_at[place]), int(block.clip_at[place])
    found = catalog.clips(int(block.shards[which]), int(block.counts[which]))
    reason = found.left_out[clip]
    if reason is not None:
        return reason, None
    entry, index = found.entries[clip], block.first + place
    return "", Survivor(index=index, shard=found.shard, entry=entry, labels=found.labels, audit=found.audit)


def _nothing_left(left_out: Counter[str]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
    return (
        f"none of the {left_out.total()} planned clips can be delivered ({reasons}); finish jobs/shard.py, jobs/pseudolabel.py for"
        " the label set and jobs/audit.py run for the audit that were asked for, or ask for another split, label set or audit"
    )
