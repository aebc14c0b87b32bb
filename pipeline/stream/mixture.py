"""Several datasets as one sequence, in proportion to their weights."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipeline.errors import ConfigError, DataError
from pipeline.records import ClipSample
from pipeline.stream.assemble import ItemReader, SkippedClip, assemble
from pipeline.stream.clip_stream import ClipStream
from pipeline.stream.config import StreamConfig
from pipeline.stream.order import PartOrder
from pipeline.stream.survivors import Survivor


@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureConfig:
    """Datasets with their weights, which need not sum to 1; this process reads its share of the sequence."""

    parts: tuple[tuple[StreamConfig, float], ...]  # any sequence of pairs serves
    seed: int = 0  # of the draw between datasets; each keeps its own for its order and windows
    rank: int = 0  # which of the `world_size` readers this is
    world_size: int = 1
    places_per_draw: int = 1  # places of the sequence, of all ranks, that one draw between datasets is for

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple((config, float(weight)) for config, weight in self.parts))
        if self.places_per_draw < 1:
            raise ConfigError(f"MixtureConfig: places_per_draw is {self.places_per_draw}, expected 1 or more")
        if not self.parts:
            raise ConfigError("MixtureConfig: no parts; give at least one (StreamConfig, weight)")
        if self.seed < 0 or not 0 <= self.rank < self.world_size:
            raise ConfigError(
                f"MixtureConfig: seed {self.seed}, rank {self.rank} of world_size {self.world_size}; expected a seed of at least 0"
                " and a rank below world_size"
            )
        for config, weight in self.parts:
            if not (math.isfinite(weight) and weight > 0):
                raise ConfigError(f"MixtureConfig: the weight of {config.dataset} is {weight}, expected above 0; else leave the part out")
            if (config.rank, config.world_size, config.epochs) != (0, 1, None):
                raise ConfigError(
                    f"MixtureConfig: part {config.dataset} sets rank, world_size or epochs; ranks are the mixture's, which has no epochs"
                )
        repeated = {name for name in self.names if self.names.count(name) > 1}
        if repeated:
            raise ConfigError(
                f"MixtureConfig: {len(self.parts)} parts, more than one of them called {sorted(repeated)[0]}; set their `name`"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts: ClipSample.dataset of their samples."""
        return tuple(config.dataset for config, _ in self.parts)


class MixtureStream:
    """Clips of several datasets, without end; iteration, ranks and states mean what they mean for ClipStream.

    Which dataset comes at place 0, 1, 2, ... depends on weights, seed and `places_per_draw` alone; each dataset's clips come in the
    order that it would have by itself, epoch after epoch. Rank r takes the places r modulo world_size, counted from where the stream
    starts.
    A sample's `dataset` says which part it is of, its `index` is the place in that part's own sequence.
    """

    def __init__(self, config: MixtureConfig, *, announce: bool = True) -> None:
        """Args as for ClipStream."""
        self.config = config
        self.num_skipped = 0  # clips that could not be read, by all iterators of this process
        self._streams = tuple(ClipStream(part, announce=announce) for part, _ in config.parts)
        self._order = PartOrder(
            weights=tuple(weight for _, weight in config.parts), seed=config.seed, places_per_draw=config.places_per_draw
        )
        self._start = _Start(place=0, indices=(0,) * len(self._streams))
        self._seen: dict[int, _Seen] = {}  # by part
        self.begin_account()

    def __iter__(self) -> Iterator[ClipSample]:
        return self.follow(self.items())

    def items(self, *, worker: int = 0, num_workers: int = 1) -> Iterator[ClipSample | SkippedClip]:
        """This rank's share from the start on, or every `num_workers`-th of it, as ClipStream.items."""
        config = self.config
        first, step = worker * config.world_size + config.rank, num_workers * config.world_size
        walks = [_survivors(stream, index) for stream, index in zip(self._streams, self._start.indices, strict=True)]
        readers = [ItemReader(stream.config, assemble) for stream in self._streams]
        for number, part in enumerate(self._order.parts_from(self._start.place)):
            survivor = next(walks[part])
            if number % step == first:
                yield readers[part].read(survivor)

    def follow(self, items: Iterable[ClipSample | SkippedClip]) -> Iterator[ClipSample]:
        """Pass on the samples among this rank's items, wherever they were read, keeping account for `state_dict`."""
        self.begin_account()
        for item in items:
            self.take(item.index)
            if isinstance(item, SkippedClip):
                self.num_skipped += 1
            else:
                yield item

    def begin_account(self) -> None:
        """Nothing of this rank's items is taken: for whoever counts with `take`, in place of `follow`."""
        self._taken, self._seen = 0, {}
        self._parts = islice(self._order.parts_from(self._start.place), self.config.rank, None, self.config.world_size)

    def take(self, index: int) -> str:
        """Count the next of this rank's items as taken, by its index. Returns the dataset that it is of."""
        part = next(self._parts)
        self._seen[part] = _Seen(place=self._start.place + self._taken * self.config.world_size + self.config.rank, index=index)
        self._taken += 1
        return self.config.parts[part][0].dataset

    def state_dict(self) -> dict[str, Any]:
        """The state of all ranks once each has taken as many samples as this one. JSON types only."""
        end = self._start.place + self._taken * self.config.world_size
        states = [stream.state_at(self._next_index(part, end)) for part, stream in enumerate(self._streams)]
        run = {} if self.config.places_per_draw == 1 else {"places_per_draw": self.config.places_per_draw}
        parts = [own | state for own, state in zip(self._identity(), states, strict=True)]
        return {"place": end, "seed": self.config.seed, **run, "parts": parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Begin the next iterator at a saved state. Raises ConfigError if it is of another mixture, or a part's is of another sequence."""
        place, parts = state.get("place"), state.get("parts")
        if type(place) is not int or place < 0 or not isinstance(parts, list):
            raise ConfigError(f"not a state of a mixture: its place is {place!r}, expected a whole number; pass what state_dict() returned")
        found = [{name: part.get(name) for name in ("name", "weight")} for part in parts]
        if (state.get("seed"), found) != (self.config.seed, self._identity()):
            raise ConfigError(
                f"the state is of another mixture: seed {state.get('seed')} of {found}, here it is seed {self.config.seed} of"
                f" {self._identity()}. Use the same, or start anew without the state"
            )
        run = state.get("places_per_draw", 1)
        if run != self.config.places_per_draw:
            raise ConfigError(
                f"the state is of a mixture that draws a dataset for {run} places, here it is for {self.config.places_per_draw}; use the"
                " same number of clips per batch of all ranks, or start anew without the state"
            )
        indices = tuple(stream.resumed(part) for stream, part in zip(self._streams, parts, strict=True))
        self._start = _Start(place=place, indices=indices)
        self.begin_account()

    def _identity(self) -> list[dict[str, Any]]:
        return [{"name": name, "weight": weight} for name, (_, weight) in zip(self.config.names, self.config.parts, strict=True)]

    def _next_index(self, part: int, end: int) -> int:
        """The part's index after its last clip before place `end`: those that other ranks took since are looked up."""
        seen = self._seen.get(part, _Seen(place=self._start.place - 1, index=self._start.indices[part] - 1))
        num_others = int((self._order.parts(seen.place + 1, end) == part).sum())
        return [seen.index, *(other.index for other in islice(_survivors(self._streams[part], seen.index + 1), num_others))][-1] + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Start:
    """The beginning of an iterator: the place in the mixture, and the index of each part that comes next."""

    place: int
    indices: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """This rank's latest item of a part."""

    place: int
    index: int


def open_stream(config: StreamConfig | MixtureConfig, *, announce: bool = True) -> ClipStream | MixtureStream:
    """The stream that a configuration asks for."""
    return MixtureStream(config, announce=announce) if isinstance(config, MixtureConfig) else ClipStream(config, announce=announce)


def _survivors(stream: ClipStream, index: int) -> Iterator[Survivor]:
    """From this index of a part on; an error says which part it is."""
    try:
        yield from stream.survivors_from(index)
    except DataError as error:
        raise DataError(f"dataset {stream.config.dataset}: {error}") from error
