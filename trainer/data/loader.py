"""The batches of a training, step by step, from any step on."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader

from pipeline.errors import ConfigError, TrackmillError
from pipeline.stream import MixtureStream
from pipeline.stream.assemble import SkippedClip
from trainer.data.batches import ClipBatch, PreparedClip, StepBatch, collate
from trainer.data.config import DataConfig
from trainer.data.packing import Packed, pack, unpack
from trainer.data.prepared_stream import Kind, PreparedClips, Side, check_parts, limit_worker_threads, sides
from trainer.data.side_stream import SideStream
from trainer.data.workers import split_workers

_STEPS_AHEAD = 2  # that the loader's processes work ahead
_CPU = torch.device("cpu")


class StepLoader:
    """This rank's StepBatch of every step, without end, on its device.

    Every `iter()` begins at step 0, or where `load_state_dict` set it. Length and size are functions of the seed and the step; windows,
    tracks and changes also of the clip's place in the step among all ranks. The same global batch dealt to other ranks, or read by other
    numbers of workers, is the same clips with the same draws.

    A clip crosses to the device in the bytes that it was packed in, and is collated there. Where that runs beside the device's computing,
    the next step's clips are asked for before a step is delivered.

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
        device: torch.device = _CPU,
        ahead: bool | None = None,
    ) -> None:
        """Args:
        patch: pixels of the network's patch: sides of images are multiples of it.
        num_workers: processes that decode and prepare, shared out between labelled and pseudo clips, at least one each; 0: none but this.
        start: state to begin at.
        start_method: of the processes: fork, spawn or forkserver; None takes the platform's default.
        device: where the batches are made.
        ahead: bring the next step to the device before one is delivered; None: where that costs the device no time.
        Raises: ConfigError for a dataset without a clip to give, an unknown label set or audit, and a state of another training.
        """
        self.config = config
        self.num_skipped = 0  # clips that could not be used, by this process
        self._sides = sides(config, patch=patch, rank=rank, world_size=world_size)
        for side in self._sides:
            check_parts(side)
        self._streams = tuple(MixtureStream(side.mixture) for side in self._sides)
        self._workers = split_workers(num_workers, tuple(side.num_clips for side in self._sides))
        self._start_method = start_method
        self._device, self._side_stream = device, SideStream(device)
        self._ahead = self._side_stream.overlaps if ahead is None else ahead
        self._transfer_s = 0.0  # since the last batch
        self._start: dict[str, Any] | None = None
        self._first_step = self._step = 0
        if start is not None:
            self.load_state_dict(start)

    def __iter__(self) -> Iterator[StepBatch]:
        self._step = self._first_step
        for stream in self._streams:
            stream.begin_account()
        arrivals = tuple(self._packed_clips(side, workers) for side, workers in zip(self._sides, self._workers, strict=True))
        steps = self._read_steps(arrivals)
        for step in _one_ahead(steps) if self._ahead else steps:
            if step.error is not None:
                raise step.error
            skipped = self._take(step)
            self.num_skipped += len(skipped)
            self._step += 1
            batch = StepBatch(
                step=self._step - 1,
                labelled=step.clips.get("labelled"),
                pseudo=step.clips.get("pseudo"),
                skipped=skipped,
                transfer_s=self._transfer_s,
            )
            self._transfer_s = 0.0
            yield self._side_stream.hand_over(batch, step.ready)

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

    def _packed_clips(self, side: Side, workers: int) -> Iterator[Packed]:
        """The side's items in order, each packed where it was prepared."""
        options: dict[str, Any] = {}
        if workers:
            ahead = max(-(-_STEPS_AHEAD * side.num_clips // workers), 1)
            options = {"prefetch_factor": ahead, "multiprocessing_context": self._start_method, "worker_init_fn": limit_worker_threads}
        state = None if self._start is None else self._start["streams"][side.kind]
        loader = DataLoader(
            PreparedClips(side, first_step=self._first_step, state=state),
            batch_size=None,
            collate_fn=pack,
            num_workers=workers,
            pin_memory=self._side_stream.overlaps,
            generator=torch.Generator(),  # its own, so that making workers draws nothing from torch's global one
            **options,
        )
        return iter(loader)

    def _read_steps(self, arrivals: tuple[Iterator[Packed], ...]) -> Iterator["_ReadStep"]:
        """All steps, up to one with an error: what follows it is out of step."""
        while True:
            step = self._read(arrivals)
            yield step
            if step.error is not None:
                return

    def _read(self, arrivals: tuple[Iterator[Packed], ...]) -> "_ReadStep":
        """Wait for the next step's clips, and ask the device for their batches."""
        packed = [list(islice(clips, side.num_clips)) for side, clips in zip(self._sides, arrivals, strict=True)]
        began = time.perf_counter()
        with self._side_stream.filling():
            items = tuple([unpack(clip.to(self._device)) for clip in clips] for clips in packed)
            error = next((item for found in items for item in found if isinstance(item, TrackmillError)), None)
            clips = {}
            if error is None:
                for side, found in zip(self._sides, items, strict=True):
                    clips[side.kind] = collate([item for item in found if isinstance(item, PreparedClip)])
        ready = self._side_stream.mark()
        self._transfer_s += time.perf_counter() - began
        return _ReadStep(items=items, error=error, clips=clips, ready=ready)

    def _take(self, step: "_ReadStep") -> tuple[str, ...]:
        """Count a step's items as taken; the datasets of those that were skipped."""
        skipped = []
        for stream, items in zip(self._streams, step.items, strict=True):
            for item in items:
                dataset = stream.take(item.index)  # skipped or not, it has its place in the step
                skipped += [dataset] if isinstance(item, SkippedClip) else []
        return tuple(skipped)


@dataclass(frozen=True, kw_only=True, slots=True)
class _ReadStep:
    """One step that was read, and may have been read ahead."""

    items: tuple[list[PreparedClip | SkippedClip], ...]  # by side, in order
    error: TrackmillError | None  # that came in a clip's place, and ends the training when the step is due
    clips: dict[Kind, ClipBatch | None]
    ready: torch.Event | None  # when the device has them


def _one_ahead(steps: Iterator[_ReadStep]) -> Iterator[_ReadStep]:
    """The same steps, each once the next was read as well."""
    step = next(steps)
    for following in steps:
        yield step
        step = following
    yield step
