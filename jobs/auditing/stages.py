"""The stages of an audit as units of work, each with its own commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.auditing.backward import BackwardLabeler
from jobs.execution.threads import pin_threads
from pipeline.audit.auditing_shard import ShardAudited, audit_clip, audit_shard
from pipeline.audit.labelled_clips import AuditSettings
from pipeline.audit.screening import ShardScreen, measure_stored, screen_shard
from pipeline.audit.stored.audit_rows import iterate_audit_shard
from pipeline.audit.summing.shard_sum import sum_clips
from pipeline.audit.summing.sums import PartialSum, merge_sums
from pipeline.audit.verdict import ScreenRules
from pipeline.border import begin_part
from pipeline.shards.index import read_index


@dataclass(frozen=True, slots=True)
class ScreenStage:
    """A unit is a shard; a part is a clip."""

    root: str
    rules: ScreenRules
    sizes: Mapping[int, int]  # shard -> planned clips

    def run(self, unit: int, crashed: Mapping[str, str]) -> ShardScreen:
        pin_threads(1)
        return screen_shard(self.root, unit, self.rules, crashed)

    def size(self, unit: int) -> int:
        return self.sizes[unit]

    def parts(self, unit: int) -> Sequence[str]:
        return [entry.key for entry in read_index(self.root, unit) if entry.record is not None]

    def trial(self, unit: int, part: str) -> None:
        pin_threads(1)
        entry = next(entry for entry in read_index(self.root, unit) if entry.key == part)
        if entry.record is not None:
            measure_stored(self.root, entry, entry.record)


@dataclass(frozen=True, slots=True)
class AuditStage:
    """A unit is a labelled shard; a part is a clip."""

    settings: AuditSettings
    sizes: Mapping[int, int]  # shard -> planned clips
    track_backward: BackwardLabeler | None

    def run(self, unit: int, crashed: Mapping[str, str]) -> ShardAudited:
        pin_threads(1)
        return audit_shard(self.settings, unit, crashed, self.track_backward)

    def size(self, unit: int) -> int:
        return self.sizes[unit]

    def parts(self, unit: int) -> Sequence[str]:
        return [entry.key for entry in read_index(self.settings.root, unit) if entry.record is not None]

    def trial(self, unit: int, part: str) -> None:
        pin_threads(1)
        audit_clip(self.settings, unit, part, self.track_backward)


@dataclass(frozen=True, slots=True)
class SummingStage:
    """A unit is a group of audited shards, and commits nothing: its sum is small, and is made again by the next run."""

    settings: AuditSettings
    groups: Sequence[Sequence[int]]

    def run(self, unit: int, crashed: Mapping[str, str]) -> PartialSum:
        return merge_sums(self._sum(shard) for shard in self.groups[unit])

    def size(self, unit: int) -> int:
        return len(self.groups[unit])

    def parts(self, unit: int) -> Sequence[str]:
        return [str(shard) for shard in self.groups[unit]]

    def trial(self, unit: int, part: str) -> None:
        self._sum(int(part))

    def _sum(self, shard: int) -> PartialSum:
        begin_part(str(shard))
        settings = self.settings
        return sum_clips(shard, iterate_audit_shard(settings.root, settings.audit, shard), settings.rules)
