"""Shards of a root that a stage has to do: those that lack what it makes, and those of which a part is to be done again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.layout import committed
from pipeline.shards.errors_table import units_to_retry
from pipeline.shards.plan import read_plan_counts


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardsToDo:
    """The planned shards of a root, as a stage finds them; each tuple ascending."""

    sizes: Mapping[int, int]  # planned shard -> planned clips
    fresh: tuple[int, ...]  # ready, and not done yet
    again: tuple[int, ...]  # done, but for parts that failed in a way that nobody foresaw
    done: tuple[int, ...]  # and nothing is left to do
    not_ready: tuple[int, ...]  # what the stage works on is not there yet

    @property
    def missing(self) -> tuple[int, ...]:
        """Shards that the stage has to do, in order."""
        return (*self.fresh, *self.again)

    @property
    def ready(self) -> tuple[int, ...]:
        """Shards that the stage can do or has done."""
        return tuple(sorted((*self.fresh, *self.again, *self.done)))

    def num_clips(self, shards: Iterable[int]) -> int:
        """Planned clips of some shards."""
        return sum(self.sizes[shard] for shard in shards)


def shards_to_do(root: str, *, makes: str | None, needs: str | Sequence[str] | None = None, errors: str | None = None) -> ShardsToDo:
    """Look at what is there.

    Args:
        makes: directory of the tables that commit what the stage makes; None: it keeps nothing.
        needs: directory of those that commit what it works on, or several such; None: the plan is all it needs.
        errors: the stage's name in errors/, if its failures are to be tried again.
    """
    counts = read_plan_counts(root)
    sizes = dict(zip(counts.shards.tolist(), counts.counts().tolist(), strict=True))
    needed = [needs] if isinstance(needs, str) else needs or ()
    ready = {*sizes}.intersection(*map(committed, needed))
    done = set() if makes is None else ready & committed(makes)
    again = set() if errors is None else done & {*units_to_retry(root, errors)}
    return ShardsToDo(
        sizes=sizes,
        fresh=tuple(sorted(ready - done)),
        again=tuple(sorted(again)),
        done=tuple(sorted(done - again)),
        not_ready=tuple(sorted({*sizes} - ready)),
    )
