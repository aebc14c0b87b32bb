"""A clip as a consensus takes it: the tracks of each label set that has any, and how far its audit trusts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from jobs.labeling.outcome import NOT_CUT, Unlabelled
from pipeline.audit.stored.audit_rows import AuditShard, read_audit_shard
from pipeline.consensus.fusion import Opinion
from pipeline.consensus.matching import LEAST_VOTES
from pipeline.labels import LabelShard, read_label_shard
from pipeline.shards.index import ClipEntry
from pipeline.shards.tombstones import read_tombstones
from pipeline.stream.trust import clip_trust

_REMEMBERED = 2  # shards in a worker's hands


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberSet:
    """A label set that is read."""

    name: str
    vote: str
    audit: str | None  # None: all its tracks are trusted alike


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipOpinions:
    """Tracks of a clip, by the sets that have any, in the order of the members."""

    opinions: tuple[Opinion, ...]
    height: int
    width: int
    absent: tuple[str, ...]  # of the other sets: name and reason


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shard:
    labels: LabelShard
    audit: AuditShard | None

    def opinion(self, key: str, sha256: str, vote: str) -> Opinion | str:
        """What the set says of a clip, or why it says nothing."""
        found = self.labels.entry(key)
        if found.status != "ok":
            return f"{found.status}{f' ({found.error})' if found.error else ''}"
        self.labels.check_clip(key, sha256)
        labels = self.labels.tracks(key)
        if self.audit is None:
            return Opinion(vote=vote, labels=labels, trust=np.ones(len(labels.queries), np.float32))
        self.audit.check_clip(key, sha256)
        trust = clip_trust(self.audit, key, labels)
        return "its audit measured no track" if trust is None else Opinion(vote=vote, labels=labels, trust=trust.weight)


class OpinionReader:
    """Reads clips; may be asked from several threads."""

    def __init__(self, root: str, members: Sequence[MemberSet]) -> None:
        self._root, self._members = root, tuple(members)
        self._tombstones = read_tombstones(root)
        self._shards = lru_cache(maxsize=_REMEMBERED)(self._open)

    def read(self, number: int, entry: ClipEntry) -> ClipOpinions | Unlabelled:
        """A clip of a shard, or why it cannot be fused: it is to be forgotten, was not cut, or fewer than two votes have tracks of it.

        Raises: DataError if its labels or audits are of another video, or an audit judged other labels.
        """
        record = entry.record
        if self._tombstones.cover(entry):
            return Unlabelled(status="screened", reason="tombstoned")
        if record is None:
            return Unlabelled(status="failed", reason=NOT_CUT)
        opinions, absent = [], []
        for member, shard in zip(self._members, self._shards(number), strict=True):
            found = shard.opinion(entry.key, record.sha256, member.vote)
            if isinstance(found, Opinion):
                opinions.append(found)
            else:
                absent.append(f"{member.name}: {found}")
        num_votes = len({each.vote for each in opinions})
        if num_votes < LEAST_VOTES:
            reason = f"{num_votes} of the votes have tracks of it, expected {LEAST_VOTES} or more; {'; '.join(absent)}"
            return Unlabelled(status="screened", reason=reason)
        return ClipOpinions(opinions=tuple(opinions), height=record.height, width=record.width, absent=tuple(absent))

    def _open(self, number: int) -> tuple[_Shard, ...]:
        return tuple(
            _Shard(
                labels=read_label_shard(self._root, member.name, number),
                audit=None if member.audit is None else read_audit_shard(self._root, member.audit, number),
            )
            for member in self._members
        )
