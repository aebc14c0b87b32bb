"""The stages of an audit as units of work, each with its own commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.labeling.compute import pin_threads
from pipeline.audit.screening import ShardScreen, measure_stored, screen_shard
from pipeline.audit.verdict import ScreenRules
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
