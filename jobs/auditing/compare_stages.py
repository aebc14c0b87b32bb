"""The stages of a comparison as units of work; they only read, so there is nothing to commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.execution.threads import pin_threads
from pipeline.audit.comparing.canary import measure_canaries
from pipeline.audit.comparing.comparison import PairedCounts, count_shard, merge_counts
from pipeline.audit.comparing.records import CanaryClip
from pipeline.border import begin_part


@dataclass(frozen=True, kw_only=True, slots=True)
class CountStage:
    """A unit is a run of shards, counted together, so that the driver's memory does not grow with each; a part is a shard."""

    root: str
    audits: tuple[str, str]
    runs: Mapping[int, tuple[int, ...]]  # unit -> shards
    num_canaries: int

    def run(self, unit: int, crashed: Mapping[str, str]) -> PairedCounts:
        pin_threads(1)
        shards = [shard for shard in self.runs[unit] if f"{shard:06d}" not in crashed]
        total = merge_counts(map(self._count, shards), num_canaries=self.num_canaries)
        total.unread.update({name: why for name, why in crashed.items() if int(name) in self.runs[unit]})
        return total

    def size(self, unit: int) -> int:
        return len(self.runs[unit])

    def parts(self, unit: int) -> Sequence[str]:
        return [f"{shard:06d}" for shard in self.runs[unit]]

    def trial(self, unit: int, part: str) -> None:
        pin_threads(1)
        self._count(int(part))

    def _count(self, shard: int) -> PairedCounts:
        begin_part(f"{shard:06d}")
        return count_shard(self.root, self.audits, shard, num_canaries=self.num_canaries)


@dataclass(frozen=True, kw_only=True, slots=True)
class CanaryStage:
    """A unit is a shard that canary clips lie in; a part is such a clip."""

    root: str
    label_sets: tuple[str, str]
    keys: Mapping[int, tuple[str, ...]]  # shard -> canary clips

    def run(self, unit: int, crashed: Mapping[str, str]) -> list[CanaryClip]:
        pin_threads(1)
        return measure_canaries(self.root, self.label_sets, unit, [key for key in self.keys[unit] if key not in crashed])

    def size(self, unit: int) -> int:
        return len(self.keys[unit])

    def parts(self, unit: int) -> Sequence[str]:
        return self.keys[unit]

    def trial(self, unit: int, part: str) -> None:
        pin_threads(1)
        measure_canaries(self.root, self.label_sets, unit, [part])
