"""The stages of jobs/shard.py as units of work, each with its own commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline import storage
from pipeline.layout import Layout
from pipeline.shards.committing import ShardOutcome
from pipeline.shards.cutting import clip_is_good, cut_clip, cut_shard
from pipeline.shards.foreign import ForeignTar, register_tar, sample_keys, try_sample
from pipeline.shards.plan import PlannedClip, read_shard_plan
from pipeline.shards.policy import ClipPolicy
from pipeline.shards.probing import ProbedGroup, Source, probe_group, probe_source
from pipeline.shards.suspects import hold_back_suspects


@dataclass(frozen=True, slots=True)
class ProbeStage:
    """A unit is the number of a probe table, a part is a source. Without a root nothing is published: a dry run."""

    root: str | None
    groups: Mapping[int, Sequence[Source]]
    policy: ClipPolicy

    def run(self, unit: int, crashed: Mapping[str, str]) -> ProbedGroup:
        found = probe_group(self.groups[unit], self.policy, crashed)
        hold_back_suspects(found.passing, len(self.groups[unit]))
        if self.root is not None and found.num_sources:
            storage.publish_bytes(Layout(self.root).probe(unit), found.table)
        return found

    def size(self, unit: int) -> int:
        return len(self.groups[unit])

    def parts(self, unit: int) -> Sequence[str]:
        return [source.relative_uri for source in self.groups[unit]]

    def trial(self, unit: int, part: str) -> None:
        probe_source(next(source for source in self.groups[unit] if source.relative_uri == part), self.policy)


@dataclass(frozen=True, slots=True)
class RetryStage:
    """A unit is a clip that failed before: whether it can be cut now. Nothing is kept."""

    root: str
    clips: Sequence[PlannedClip]
    policy: ClipPolicy

    def run(self, unit: int, crashed: Mapping[str, str]) -> bool:
        return self.clips[unit].key not in crashed and clip_is_good(self.root, self.clips[unit], self.policy)

    def size(self, unit: int) -> int:
        return 1

    def parts(self, unit: int) -> Sequence[str]:
        return [self.clips[unit].key]

    def trial(self, unit: int, part: str) -> None:
        cut_clip(self.root, self.clips[unit], self.policy)


@dataclass(frozen=True, slots=True)
class CutStage:
    """A unit is a shard; a part is a clip."""

    root: str
    policy: ClipPolicy
    sizes: Mapping[int, int]  # shard -> planned clips

    def run(self, unit: int, crashed: Mapping[str, str]) -> ShardOutcome:
        return cut_shard(self.root, unit, self.policy, crashed)

    def size(self, unit: int) -> int:
        return self.sizes[unit]

    def parts(self, unit: int) -> Sequence[str]:
        return [clip.key for clip in read_shard_plan(self.root, unit)]

    def trial(self, unit: int, part: str) -> None:
        cut_clip(self.root, next(clip for clip in read_shard_plan(self.root, unit) if clip.key == part), self.policy)


@dataclass(frozen=True, slots=True)
class RegisterStage:
    """A unit is the number of a tar that others wrote; a part is a sample."""

    root: str
    tars: Mapping[int, ForeignTar]
    shares: Mapping[str, float]
    license: str | None
    unpack_below: str | None = None  # the root below which compressed tars are unpacked; None: they are refused

    def run(self, unit: int, crashed: Mapping[str, str]) -> int:
        return register_tar(self.root, unit, self.tars[unit], shares=self.shares, license=self.license, crashed=crashed)

    def size(self, unit: int) -> int:
        return 1

    def parts(self, unit: int) -> Sequence[str]:
        return sample_keys(self.tars[unit])

    def trial(self, unit: int, part: str) -> None:
        try_sample(self.tars[unit], part)
