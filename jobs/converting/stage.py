"""The stage of a conversion as units of work, each with its own commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.datasets.converting import convert_shard, try_clip
from pipeline.datasets.planning import ConversionPolicy
from pipeline.datasets.source import TruthSource
from pipeline.shards.committing import ShardOutcome
from pipeline.shards.plan import read_shard_plan


@dataclass(frozen=True, slots=True)
class ConvertStage:
    """A unit is a shard; a part is a clip."""

    root: str
    source: TruthSource
    policy: ConversionPolicy
    sizes: Mapping[int, int]  # shard -> planned clips

    def run(self, unit: int, crashed: Mapping[str, str]) -> ShardOutcome:
        return convert_shard(self.root, unit, source=self.source, policy=self.policy, crashed=crashed)

    def size(self, unit: int) -> int:
        return self.sizes[unit]

    def parts(self, unit: int) -> Sequence[str]:
        return [clip.key for clip in read_shard_plan(self.root, unit)]

    def trial(self, unit: int, part: str) -> None:
        clip = next(clip for clip in read_shard_plan(self.root, unit) if clip.key == part)
        try_clip(clip, self.source, self.policy)
