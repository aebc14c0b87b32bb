"""Clips of a shard by its metadata: those that are delivered, and reasons for the others."""

import logging
from collections import OrderedDict
from dataclasses import dataclass

from pipeline import storage
from pipeline.audit.stored.audit_rows import AuditShard, read_audit_shard
from pipeline.audit.stored.audit_set import read_audit_set
from pipeline.errors import DataError
from pipeline.labels import LabelShard, read_label_shard
from pipeline.layout import Layout
from pipeline.shards.index import ARRAYS, ClipEntry, read_index
from pipeline.shards.plan import PlanCounts
from pipeline.shards.tombstones import Tombstones
from pipeline.stream.audits import audit_command
from pipeline.stream.clip_arrays import is_withheld
from pipeline.stream.config import StreamConfig
from pipeline.stream.order import is_too_short

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardClips:
    """The planned clips of one shard (of the stream's split), in plan order. `entries` is empty while it is not committed."""

    shard: int
    entries: tuple[ClipEntry, ...]
    left_out: tuple[str | None, ...]  # why a clip is not delivered; None where it is
    labels: tuple[LabelShard, ...]  # of the label sets that have labelled the shard
    audit: AuditShard | None = None


class ShardCatalog:
    """Shards' metadata, read when first asked for; the latest few stay in memory.

    A dataset is taken as it stands when its shards are opened. All ranks and workers must find the same: write labels,
    shards and tombstones before or after training, not meanwhile.
    """

    def __init__(self, config: StreamConfig, tombstones: Tombstones, plan: PlanCounts) -> None:
        self._config = config
        self._tombstones, self._plan = tombstones, plan
        self._layout = Layout(config.root)
        self._latest: OrderedDict[int, ShardClips] = OrderedDict()
        self._told_withheld = False

    def clips(self, shard: int, num_planned: int) -> ShardClips:
        """The clips of one shard.

        Args:
            num_planned: how many clips of the split the plan gives to this shard.
        Raises: DataError if the shard was cut by another plan, or labelled or audited before it was cut anew.
        """
        found = self._latest.pop(shard, None) or self._read(shard, num_planned)
        self._latest[shard] = found
        while len(self._latest) > 2 * self._config.shuffle_block:  # a block, and the next one, into which a saved state looks
            self._latest.popitem(last=False)
        return found

    def _read(self, shard: int, num_planned: int) -> ShardClips:
        uri = self._layout.shard_index(shard)
        if not storage.exists(uri):
            _log.warning("%s: not committed, its %d planned clips are left out; run jobs/shard.py to make it", uri, num_planned)
            return ShardClips(shard=shard, entries=(), left_out=("not committed",) * num_planned, labels=())
        split = self._config.split
        found = read_index(self._config.root, shard, planned=self._plan.shard_hash(shard))
        entries = tuple(entry for entry in found if split in (None, entry.split))
        if len(entries) != num_planned:
            raise DataError(
                f"{uri}: {len(entries)} clips{f' of split {split}' if split else ''}, the plan has {num_planned}: it was cut by another"
                " plan; run jobs/shard.py again into a new root"
            )
        labels, audit = self._read_labels(shard), self._read_audit(shard)
        left_out = tuple(self._reason(entry, labels, audit) for entry in entries)
        self._tell_withheld(entries, left_out)
        return ShardClips(shard=shard, entries=entries, left_out=left_out, labels=labels, audit=audit)

    def _read_labels(self, shard: int) -> tuple[LabelShard, ...]:
        found = []
        for name in self._config.label_sets:
            uri = self._layout.label_shard(name, shard)
            if storage.exists(uri):
                found.append(read_label_shard(self._config.root, name, shard))
            else:
                _log.warning("%s: this shard is not labelled, its clips are left out; run jobs/pseudolabel.py to label it", uri)
        return tuple(found)

    def _read_audit(self, shard: int) -> AuditShard | None:
        config = self._config
        if config.audit is None:
            return None
        uri = self._layout.audit_shard(config.audit, shard)
        if not storage.exists(uri):
            command = audit_command(config.root, read_audit_set(config.root, config.audit).label_set, config.audit)
            _log.warning("%s: this shard is not audited, its clips are left out; run %s to audit it", uri, command)
            return None
        return read_audit_shard(config.root, config.audit, shard)

    def _tell_withheld(self, entries: tuple[ClipEntry, ...], left_out: tuple[str | None, ...]) -> None:
        """Say once that the dataset has truth that is not delivered."""
        found = (
            entry.key
            for entry, reason in zip(entries, left_out, strict=True)
            if reason is None and entry.record and entry.member(ARRAYS) and is_withheld(self._config, entry.record)
        )
        first = None if self._told_withheld else next(found, None)
        if first is not None:
            self._told_withheld = True
            _log.warning(
                "%s: the truth of its clips is for evaluation (clip %s says so): cameras, depth and true tracks stay on disk, and the clips"
                " count as pseudo-labelled. Set arrays=False to say that this is meant, evaluation_truth=True to measure with the truth",
                self._config.root,
                first,
            )

    def _reason(self, entry: ClipEntry, labels: tuple[LabelShard, ...], audit: AuditShard | None) -> str | None:
        if entry.record is None:
            return "failed"
        if self._tombstones.cover(entry):
            return "tombstoned"
        if is_too_short(self._config, entry.record.frames):
            return "too short"
        return self._reason_of_labels(entry.key, entry.record.sha256, labels) or self._reason_of_audit(
            entry.key, entry.record.sha256, audit
        )

    def _reason_of_labels(self, key: str, sha256: str, labels: tuple[LabelShard, ...]) -> str | None:
        if len(labels) < len(self._config.label_sets):
            return "not labelled"
        for shard in labels:
            status = shard.entry(key).status
            if status != "ok":
                return f"labels {status}"
            shard.check_clip(key, sha256)
        return None

    def _reason_of_audit(self, key: str, sha256: str, audit: AuditShard | None) -> str | None:
        if self._config.audit is None:
            return None
        if audit is None:
            return "not audited"
        decision = audit.clip(key).verdict.decision
        if decision not in self._config.audit_keeps:
            return f"audit {decision}"
        audit.check_clip(key, sha256)
        return None
