"""The stream itself: this rank's share of the sequence, and its state as plain JSON types."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from pipeline.errors import ConfigError
from pipeline.records import ClipSample
from pipeline.shards.plan import PlanCounts, read_plan_counts
from pipeline.shards.tombstones import read_tombstones
from pipeline.stream.assemble import ItemReader, SkippedClip, assemble
from pipeline.stream.audits import announce_unjudged, with_audited_labels
from pipeline.stream.catalog import ShardCatalog
from pipeline.stream.config import StreamConfig
from pipeline.stream.order import ClipOrder
from pipeline.stream.survivors import Survivor, survivors

_log = logging.getLogger(__name__)

# Other fields may change between two runs. The audit, like the label set, moves no clip from its index either, but decides which
# clips come, and with which weights: going on under another one is another training.
_IDENTITY = ("seed", "split", "labels", "audit", "shuffle", "shuffle_block")


class ClipStream:
    """Clips of one dataset, without end or for `epochs` passes; see StreamConfig.

    What comes at index i depends on the seed and the plan alone: epoch i // n, place i % n of n planned clips; a state remembers of
    how many parts the plan was, and goes on with those when the dataset has grown. Clips that
    failed, were tombstoned, have no ok labels, or are not kept by the audit are left out by their metadata. The others are
    counted 0, 1, 2, ... from where the stream starts, and rank r takes those with number = r modulo world_size: put together
    in turn, the ranks give one and the same sequence, however many they are.

    With an audit, samples carry weights of their tracks. Labels without one are streamed too; a warning says that nobody judged them.

    Every `iter()` begins at the start, or where `load_state_dict` set it. `state_dict()` speaks of the latest iterator.
    When every rank has taken the same number of samples, their states are equal, and any of them continues the sequence on
    any number of ranks without loss or repetition. (With `on_error="skip"` a rank that skipped a clip is one turn ahead;
    restore all from one rank's state then.)
    """

    def __init__(self, config: StreamConfig, *, announce: bool = True) -> None:
        """Args:
        announce: whether to warn of labels that nobody judged; a worker leaves that to who made it.
        Raises: ConfigError for an unknown label set or audit, and for an audit of other labels.
        """
        self._whole_plan = read_plan_counts(config.root)
        config = with_audited_labels(config)
        if announce:
            announce_unjudged(config)
        self.config = config
        self.num_skipped = 0  # clips that could not be read, by all iterators of this process
        self._announce = announce
        self._take_parts(self._whole_plan.num_parts)
        self._catalog = ShardCatalog(config, read_tombstones(config.root), self._whole_plan)
        self._start = 0
        self._last: int | None = None
        self._ended = False

    @property
    def num_clips(self) -> int:
        """Planned clips of one epoch, those that will be left out included."""
        return self._order.num_clips

    def __iter__(self) -> Iterator[ClipSample]:
        return self.follow(self.items())

    def items(self, *, worker: int = 0, num_workers: int = 1) -> Iterator[ClipSample | SkippedClip]:
        """This rank's share from the start on, or every `num_workers`-th of it: taking from the workers in turn gives the whole share.

        Raises: DataError or StorageError for a clip that cannot be read, unless `on_error` is "skip".
        """
        config, reader = self.config, ItemReader(self.config, assemble)
        first, step = worker * config.world_size + config.rank, num_workers * config.world_size
        yield from map(reader.read, islice(self.survivors_from(self._start), first, None, step))

    def follow(self, items: Iterable[ClipSample | SkippedClip]) -> Iterator[ClipSample]:
        """Pass on the samples among this rank's items, wherever they were read, keeping account for `state_dict`."""
        self._last, self._ended = None, False
        for item in items:
            self._last = item.index
            if isinstance(item, SkippedClip):
                self.num_skipped += 1
            else:
                yield item
        self._ended = True

    def state_dict(self) -> dict[str, Any]:
        """The state of all ranks once each has taken as many samples as this one. JSON types only."""
        return self.state_at(self._next_index())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Begin the next iterator at a saved state, in the parts of the plan that there were then.

        Raises: ConfigError if it is of another plan, seed, split, label set or audit.
        """
        self._start = self.resumed(state)
        self._last, self._ended = None, False

    def state_at(self, index: int) -> dict[str, Any]:
        """The state in which index `index` comes next."""
        return state_at(index, self.config, self._plan)

    def resumed(self, state: dict[str, Any]) -> int:
        """The index that comes next in a saved state; from now on the stream is of the parts of the plan that the state knew.

        Clips that were added since would move every other one from its index: they wait for a stream that starts anew.
        Raises: ConfigError if it is of another plan, seed, split, label set or audit.
        """
        index = index_of(state, self.config, self._whole_plan)
        self._take_parts(parts_of(state))
        added = self._whole_plan.num_parts - self._plan.num_parts
        if added and self._announce:
            _log.warning(
                "%s: %d parts were added to the plan since this state was saved; a stream without a state takes them, too",
                self.config.root,
                added,
            )
        return index

    def _take_parts(self, num_parts: int) -> None:
        """Make the sequence of the first parts of the plan."""
        whole, config = self._whole_plan, self.config
        self._plan = whole if num_parts == whole.num_parts else read_plan_counts(config.root, num_parts=num_parts)
        self._order = ClipOrder(
            shards=self._plan.shards,
            counts=self._plan.counts(config.split),
            seed=config.seed,
            shuffle=config.shuffle,
            block_shards=config.shuffle_block,
        )

    def survivors_from(self, index: int) -> Iterator[Survivor]:
        """The clips of all ranks that are delivered from this index on, by their metadata alone."""
        return survivors(self._order, self._catalog, start=index, end=self._end)

    def _next_index(self) -> int:
        """The index after the last clip of the turn that this rank is in: the other ranks' clips of it count as taken."""
        if self._ended and self._end is not None:
            return max(self._start, self._end)
        if self._last is None:
            return self._start
        num_others = self.config.world_size - 1 - self.config.rank
        turn = [self._last, *(other.index for other in islice(self.survivors_from(self._last + 1), num_others))]
        return turn[-1] + 1 if len(turn) > num_others or self._end is None else self._end

    @property
    def _end(self) -> int | None:
        return None if self.config.epochs is None else self.config.epochs * self.num_clips


def state_at(index: int, config: StreamConfig, plan: PlanCounts) -> dict[str, Any]:
    """The state in which index `index` comes next; the same on every rank. `plan`: the parts that the sequence is made of."""
    return {"index": index, "parts": plan.num_parts, "plan_hash": plan.plan_hash, **_identity(config)}


def index_of(state: dict[str, Any], config: StreamConfig, plan: PlanCounts) -> int:
    """The index that comes next. The state may be of the first parts of a plan that has grown since: see `parts_of`.

    Raises: ConfigError, naming every difference, if the state is of another sequence.
    """
    index, parts = state.get("index"), parts_of(state)
    if type(index) is not int or index < 0:
        raise ConfigError(f"not a state of a stream: its index is {index!r}, expected a whole number; pass what state_dict() returned")
    found = plan.plan_hashes[parts - 1] if parts <= plan.num_parts else None
    here = {"plan_hash": found, **_identity(config)}
    differ = [
        f"{name} is {value!r}{f' after {parts} parts' if name == 'plan_hash' else ''}, in the state it was {state.get(name)!r}"
        for name, value in here.items()
        if state.get(name) != value
    ]
    if differ:
        raise ConfigError(f"the state is of another sequence of clips: {'; '.join(differ)}. Use the same, or start anew without the state")
    return index


def parts_of(state: dict[str, Any]) -> int:
    """Number of plan parts in a state's sequence. Raises ConfigError if it is no state."""
    parts = state.get("parts", 1)  # states from before plans had parts
    if type(parts) is not int or parts < 1:
        raise ConfigError(f"not a state of a stream: its parts are {parts!r}, expected a whole number; pass what state_dict() returned")
    return parts


def _identity(config: StreamConfig) -> dict[str, Any]:
    keeps = None if config.audit is None else list(config.audit_keeps)  # JSON's type
    labels = config.labels if config.labels is None or isinstance(config.labels, str) else list(config.labels)
    return {**{name: getattr(config, name) for name in _IDENTITY}, "labels": labels, "audit_keeps": keeps}
