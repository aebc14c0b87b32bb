"""The batches of a training, step by step, from any step on."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, cast

import torch
from torch.utils.data import DataLoader

from pipeline.errors import ConfigError, TrackmillError
from pipeline.records import ClipSample
from pipeline.stream import MixtureStream
from pipeline.stream.assemble import SkippedClip
from trainer.data.batches import ClipBatch, PreparedClip, StepBatch, collate
from trainer.data.config import DataConfig
from trainer.data.packing import pack, unpack
from trainer.data.prepared_stream import PreparedClips, Side, check_parts, limit_worker_threads, sides

_STEPS_AHEAD = 2


class StepLoader:
    """This rank's StepBatch of every step, without end.

    Every `iter()` begins at step 0, or where `load_state_dict` set it. Length, size and number of clips are functions of the seed and
    the step; windows, tracks and changes also of the clip's place in the step among all ranks. The same global batch dealt to other
    ranks, or read by other numbers of workers, is the same clips with the same draws.

    `state_dict()` counts the steps that were delivered, not what was read ahead; all ranks' states are equal after the same step.
    """

    def __init__(
        self,
        config: DataConfig,
        *,
        patch: int,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
        start: dict[str, Any] | None = None,
        start_method: str | None = None,
    ) -> None:
        """Args:
        patch: pixels of the network's patch: sides of images are multiples of it.
        num_workers: processes that decode and prepare, shared out between labelled and pseudo clips, at least one each; 0: none but this.
        start: state to begin at.
        start_method: of the processes: fork, spawn or forkserver; None takes the platform's default.
        Raises: ConfigError for a dataset without a clip to give, an unknown label set or audit, and a state of another training.
        """
        self.config = config
        self.num_skipped = 0  # clips that could not be used, by this process
        self._sides = sides(config, patch=patch, rank=rank, world_size=world_size)
        for side in self._sides:
            check_parts(side)
        self._streams = tuple(MixtureStream(side.mixture) for side in self._sides)
        self._workers = _split_workers(num_workers, self._sides)
        self._start_method = start_method
        self._start: dict[str, Any] | None = None
        self._first_step = self._step = 0
        if start is not None:
            self.load_state_dict(start)

    def __iter__(self) -> Iterator[StepBatch]:
        self._step = self._first_step
        clips = {
            side.kind: self._clips(side, stream, workers)
            for side, stream, workers in zip(self._sides, self._streams, self._workers, strict=True)
        }
        while True:
            batches = {side.kind: self._batch(clips[side.kind], side.clips_of(self._step)) for side in self._sides}
            self._step += 1
            yield StepBatch(step=self._step - 1, labelled=batches.get("labelled"), pseudo=batches.get("pseudo"))

    def state_dict(self) -> dict[str, Any]:
        """State of all ranks after as many steps as this one has taken. JSON types only."""
        streams = {side.kind: stream.state_dict() for side, stream in zip(self._sides, self._streams, strict=True)}
        return {"step": self._step, "seed": self.config.seed, "streams": streams}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Begin the next iterator at a saved state. Raises ConfigError if it is of another seed or other datasets."""
        step, streams = state.get("step"), state.get("streams")
        if type(step) is not int or step < 0 or not isinstance(streams, dict):
            raise ConfigError(f"not a state of the batches: its step is {step!r}, expected a whole number; pass what state_dict() returned")
        kinds = [side.kind for side in self._sides]
        if (state.get("seed"), sorted(streams)) != (self.config.seed, sorted(kinds)):
            raise ConfigError(
                f"the state is of other batches: seed {state.get('seed')}, {' and '.join(streams)}, here it is seed {self.config.seed},"
                f" {' and '.join(kinds)}. Use the same, or start anew without the state"
            )
        for kind, stream in zip(kinds, self._streams, strict=True):
            stream.load_state_dict(streams[kind])
        self._start, self._first_step, self._step = state, step, step

    def _clips(self, side: Side, stream: MixtureStream, workers: int) -> Iterator[PreparedClip | SkippedClip]:
        """The side's clips in order; the stream counts those that are taken."""
        options: dict[str, Any] = {}
        if workers:
            ahead = max(-(-_STEPS_AHEAD * side.num_clips // workers), 1)
            options = {"prefetch_factor": ahead, "multiprocessing_context": self._start_method, "worker_init_fn": limit_worker_threads}
        state = None if self._start is None else self._start["streams"][side.kind]
        loader = DataLoader(
            PreparedClips(side, first_step=self._first_step, state=state),
            batch_size=None,
            collate_fn=pack if workers else _identity,
            num_workers=workers,
            generator=torch.Generator(),  # its own, so that making workers draws nothing from torch's global one
            **options,
        )
        items = _StreamItem.of(_raise_errors(map(unpack, loader) if workers else loader))
        # follow() reads nothing but the items' index, and passes them on
        followed = cast(Iterator[_StreamItem], stream.follow(cast(Iterable[ClipSample], items)))
        return (item.item for item in followed)

    def _batch(self, clips: Iterator[PreparedClip | SkippedClip], num_clips: int) -> ClipBatch | None:
        items = list(islice(clips, num_clips))
        found = [item for item in items if isinstance(item, PreparedClip)]
        self.num_skipped += len(items) - len(found)
        return collate(found, self.config.without_normals)


class _StreamItem:
    """A clip, used or skipped. Either takes its place in the step, so the stream must not leave skipped ones out."""

    def __init__(self, item: PreparedClip | SkippedClip) -> None:
        self.item = item
        self.index = item.index

    @classmethod
    def of(cls, items: Iterable[PreparedClip | SkippedClip]) -> Iterator["_StreamItem"]:
        """One `_StreamItem` per item."""
        return map(cls, items)


def _split_workers(num_workers: int, sides: tuple[Side, ...]) -> tuple[int, ...]:
    """Workers of each side, in proportion to its clips."""
    if num_workers == 0:
        return (0,) * len(sides)
    total = sum(side.num_clips for side in sides)
    first = min(max(round(num_workers * sides[0].num_clips / total), 1), max(num_workers - len(sides) + 1, 1))
    return (first, max(num_workers - first, 1))[: len(sides)]


def _raise_errors(items: Iterable[PreparedClip | SkippedClip | TrackmillError]) -> Iterator[PreparedClip | SkippedClip]:
    for item in items:
        if isinstance(item, TrackmillError):
            raise item
        yield item


def _identity(item: object) -> object:
    return item
