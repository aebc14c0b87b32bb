"""One side of the batches, labelled or pseudo: its clips streamed, and prepared where they are decoded."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any, Literal

import cv2
from torch.utils.data import IterableDataset, get_worker_info

from pipeline import storage
from pipeline.errors import ConfigError, DataError, TrackmillError
from pipeline.records import ClipSample
from pipeline.stream import ClipStream, MixtureConfig, MixtureStream
from pipeline.stream.assemble import SkippedClip
from trainer.data.augmentation import StepClips, clip_draws, shared_clips, step_clips, step_shape
from trainer.data.batches import PreparedClip
from trainer.data.config import DataConfig
from trainer.data.preparing import prepare_labelled, prepare_pseudo

_log = logging.getLogger(__name__)

Kind = Literal["labelled", "pseudo"]
_SIDE = {"labelled": 0, "pseudo": 1}
_ALMOST_ONE = 1 - 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """Place of one clip in the training."""

    step: int
    place: int  # among this rank's clips of the step


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One side of the batches: its stream, and the number of its clips in a step of this rank."""

    kind: Kind
    mixture: MixtureConfig  # with this rank
    config: DataConfig
    patch: int  # pixels: sides of images are multiples of it

    @property
    def num_clips(self) -> int:
        """Of this rank in its largest step, by which reading ahead is measured."""
        shortest = self.config.shape.frames[0]
        return max(self._of(shared_clips(self.config, shortest, chance=chance)) for chance in (0.0, _ALMOST_ONE))

    def clips_of(self, step: int) -> int:
        """Number of this rank's clips in one step."""
        return self._of(step_clips(self.config, step))

    def slots(self, first_step: int) -> Iterator[Slot]:
        """Places of this rank's clips, one after the other, without end."""
        return (Slot(step=step, place=place) for step in count(first_step) for place in range(self.clips_of(step)))

    def _of(self, clips: StepClips) -> int:
        return clips.labelled if self.kind == "labelled" else clips.pseudo


def sides(config: DataConfig, *, patch: int, rank: int, world_size: int) -> tuple[Side, ...]:
    """Sides of a configuration, labelled first. The truth of pseudo clips, if any, is left on disk."""
    found = []
    if config.labelled is not None:
        mixture = replace(config.labelled, rank=rank, world_size=world_size)
        found.append(Side(kind="labelled", mixture=mixture, config=config, patch=patch))
    if config.pseudo is not None:
        parts = tuple((replace(part, arrays=False, evaluation_truth=False), weight) for part, weight in config.pseudo.parts)
        run = config.pseudo_clips * world_size if config.one_pseudo_part_per_batch else 1
        mixture = replace(config.pseudo, parts=parts, rank=rank, world_size=world_size, places_per_draw=run)
        found.append(Side(kind="pseudo", mixture=mixture, config=config, patch=patch))
    return tuple(found)


def check_parts(side: Side) -> None:
    """Raises: ConfigError, naming the dataset, if a part of the mixture is not there or has no usable clip."""
    for part, _ in side.mixture.parts:
        if not storage.is_directory(part.root):
            raise ConfigError(f"{side.kind} part {part.dataset}: there is no dataset at {part.root}; check data.{side.kind}, or make it")
        try:
            next(ClipStream(part, announce=False).survivors_from(0))
        except (ConfigError, DataError) as error:
            raise ConfigError(f"{side.kind} part {part.dataset}: {error}") from error


class PreparedClips(IterableDataset[PreparedClip | SkippedClip | TrackmillError]):
    """One rank's clips of one side, in the order of the stream, dealt to the DataLoader's workers in turn.

    A clip that cannot be read or prepared comes as a SkippedClip where its dataset has `on_error="skip"`, so that every step has its own
    clips, used or skipped. An error comes as the last item: raised in a worker it would arrive as a page of torch's traceback.

    Args:
        first_step: the step that the first clip belongs to.
        state: of the side's stream, None for its start.
    """

    def __init__(self, side: Side, *, first_step: int, state: dict[str, Any] | None) -> None:
        super().__init__()
        self._side = side
        self._first_step = first_step
        self._state = state

    def __iter__(self) -> Iterator[PreparedClip | SkippedClip | TrackmillError]:
        worker = get_worker_info()
        number, num_workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        try:
            stream = MixtureStream(self._side.mixture, announce=False)  # not once per worker
            if self._state is not None:
                stream.load_state_dict(self._state)
            budget = _SkipBudget(self._side.mixture)
            slots = islice(self._side.slots(self._first_step), number, None, num_workers)
            for item, slot in zip(stream.items(worker=number, num_workers=num_workers), slots, strict=False):
                yield self._prepare_or_skip(item, slot, budget)
        except TrackmillError as error:
            yield error

    def _prepare_or_skip(self, item: ClipSample | SkippedClip, slot: Slot, budget: "_SkipBudget") -> PreparedClip | SkippedClip:
        if isinstance(item, SkippedClip):
            return item
        try:
            clip = prepare(self._side, item, slot)
        except DataError as error:
            budget.record(item, error)
            return SkippedClip(key=item.key, index=item.index)
        budget.reset(item)
        return clip


def prepare(side: Side, sample: ClipSample, slot: Slot) -> PreparedClip:
    """The clip as its step takes it."""
    config, mixture = side.config, side.mixture
    draw = clip_draws(config.seed, slot.step, _SIDE[side.kind], slot.place * mixture.world_size + mixture.rank)
    to_clip = prepare_labelled if side.kind == "labelled" else prepare_pseudo
    return to_clip(sample, step_shape(config.shape, config.seed, slot.step, patch=side.patch), config, draw)


def limit_worker_threads(_: int) -> None:
    """One thread per worker: OpenCV would start as many as there are cores in each."""
    cv2.setNumThreads(1)


class _SkipBudget:
    """Count of consecutive clips that could not be prepared, by dataset, held against the limit of its configuration."""

    def __init__(self, mixture: MixtureConfig) -> None:
        self._parts = {part.dataset: part for part, _ in mixture.parts}
        self._in_row = dict.fromkeys(self._parts, 0)

    def record(self, sample: ClipSample, error: DataError) -> None:
        """Log the error, or raise it."""
        assert sample.dataset is not None, "a stream names the dataset of its samples"
        part = self._parts[sample.dataset]
        self._in_row[sample.dataset] += 1
        if part.on_error == "raise":
            raise DataError(f'{error}; or stream with on_error="skip"') from error
        if self._in_row[sample.dataset] > part.max_skips_in_row:
            raise DataError(f"{error}; {self._in_row[sample.dataset]} clips of this dataset on end could not be used") from error
        _log.warning("skipped: %s", error)

    def reset(self, sample: ClipSample) -> None:
        """Start counting anew: a clip of this dataset was prepared."""
        assert sample.dataset is not None, "a stream names the dataset of its samples"
        self._in_row[sample.dataset] = 0
