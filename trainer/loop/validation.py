"""Validation while training: the model on clips with truth of named datasets, every so many steps, as jobs/evaluate.py model measures.

Each process measures its share of the clips, and all get the means over the clips of all. Nothing of it changes weights, the order of
the data or a random state of the training.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import takewhile

from networks.building import Network
from networks.layers.computing import Precision
from pipeline.errors import ConfigError
from pipeline.records import ClipSample
from pipeline.records.parsing import parse_record
from pipeline.stream import ClipStream, StreamConfig
from pipeline.stream.assemble import ItemReader, SkippedClip, assemble
from pipeline.stream.survivors import Survivor
from trainer.evaluation import PROTOCOLS, TRACKING, ClipScores, EvaluationSettings, measure_model, stream_of_truth, summarise
from trainer.families import Family, check_predicts
from trainer.loop.checkpoints import Learner
from trainer.loop.step_report import ProcessRank, gather_over_processes
from trainer.loop.validation_rows import ValidationRow


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationPart:
    """The first clips of one dataset with truth, and what is measured on them."""

    root: str
    name: str | None = None  # what rows and curves call it; None: the last part of root
    split: str | None = "val"  # train | val | test; None takes all
    num_clips: int | None = 16  # first ones of the plan, over all processes; None: all
    num_frames: int | None = 24  # of a clip, from a place drawn by the seed; None: whole clips
    frame_stride: int = 1  # stored frames from one frame to the next
    evaluation: EvaluationSettings = EvaluationSettings()  # pixel_budget, if left out of a file, is the most pixels of data.shape

    def __post_init__(self) -> None:
        if self.num_clips is not None and self.num_clips < 1:
            raise ConfigError(f"num_clips is {self.num_clips}, expected at least 1, or null for all")
        if "/" in self.dataset:
            raise ConfigError(f"the name {self.dataset} has a slash; choose one without")

    @property
    def stream(self) -> StreamConfig:
        """Every clip once, in plan order; what cannot be read is skipped."""
        plain = stream_of_truth(
            self.root, split=self.split, num_frames=self.num_frames, frame_stride=self.frame_stride, seed=self.evaluation.seed
        )
        return replace(plain, on_error="skip", name=self.name)

    @property
    def dataset(self) -> str:
        """Name of the part."""
        return self.name or StreamConfig(root=self.root).dataset

    @property
    def measures(self) -> dict[str, str]:
        """Protocol of every measure that is taken, by the measure's name."""
        asked = [protocol for protocol in PROTOCOLS if protocol.name in self.evaluation.protocols]
        return {measure.name: protocol.name for protocol in asked for measure in protocol.measures}


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationSettings:
    """Times and datasets of validation. The average of the weights is measured where one is kept, else the weights."""

    parts: tuple[ValidationPart, ...]
    every_steps: int = 1000  # and at the end
    best: str | None = None  # PART/MEASURE: the checkpoint in which it is best is kept too; None: none is

    def __post_init__(self) -> None:
        names = [part.dataset for part in self.parts]
        if not names or self.every_steps < 1:
            raise ConfigError(f"{len(names)} parts, every_steps {self.every_steps}; expected at least one of each")
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"{len(names)} parts, more than one of them called {repeated[0]}; set their `name`")
        if self.best is not None and self.best_part() is None:
            known = ", ".join(f"{part.dataset}/{name}" for part in self.parts for name in part.measures)
            raise ConfigError(f"best is {self.best!r}, expected PART/MEASURE of what is measured: {known}")

    def best_part(self) -> ValidationPart | None:
        """The part whose measure decides; None where none does."""
        name, _, measure = (self.best or "").partition("/")
        return next((part for part in self.parts if part.dataset == name and measure in part.measures), None)


def parse_validation(table: object, pixels: int) -> ValidationSettings:
    """Read the table of a configuration's `validation`.

    Args:
        pixels: of a frame, for parts whose `evaluation` names no pixel_budget: the most that the training draws.
    Raises: ConfigError for an unknown name, or a value out of range.
    """
    if isinstance(table, Mapping) and isinstance(table.get("parts"), list):
        table = {**table, "parts": [_with_pixels(part, pixels) for part in table["parts"]]}
    return parse_record(ValidationSettings, table, "validation")


def _with_pixels(part: object, pixels: int) -> object:
    evaluation = part.get("evaluation", {}) if isinstance(part, Mapping) else None
    return {**part, "evaluation": {"pixel_budget": pixels, **evaluation}} if isinstance(evaluation, Mapping) else part  # type: ignore[dict-item]


def check_validation(settings: ValidationSettings, family: Family, model: Network) -> None:
    """Raises: ConfigError for measures that the model cannot have."""
    check_predicts(family, model)
    for part in settings.parts:
        geometry = "model" if family.infers(model) else "truth"
        if part.evaluation.geometry != geometry:
            raise ConfigError(
                f"validation: part {part.dataset} takes geometry from the {part.evaluation.geometry}, and this model"
                f" {'has its own' if geometry == 'model' else 'has none of its own'}: set its evaluation.geometry to {geometry}"
            )
    decisive, measure = settings.best_part(), (settings.best or "").partition("/")[2]
    if decisive is not None and decisive.measures[measure] in TRACKING and not family.tracks(model):
        raise ConfigError(f"validation: best is {settings.best}, and this model tracks nothing; choose a measure of geometry")


class Validation:
    """The clips of all parts, found once, and measured whenever asked."""

    def __init__(self, settings: ValidationSettings, process: ProcessRank, precision: Precision) -> None:
        """Args:
            precision: of the forward pass.

        Raises: ConfigError, DataError or StorageError for a dataset that is not there, or has no clip of the split.
        """
        self.settings = settings
        self._process, self._precision = process, precision
        self._clips = tuple(_find_clips(part) for part in settings.parts)

    @property
    def num_clips(self) -> tuple[int, ...]:
        """Clips of each part."""
        return tuple(map(len, self._clips))

    def measure(self, learner: Learner, step: int) -> tuple[ValidationRow, ...]:
        """One row a part, the same in all processes. Every process of a group calls this.

        Args:
            step: how many steps are done.
        """
        mine = slice(self._process.rank, None, self._process.world_size)
        with nullcontext() if learner.average is None else learner.average.applied_to(learner.model):
            found = [
                self._measure_clips(learner.model, part, clips[mine]) for part, clips in zip(self.settings.parts, self._clips, strict=True)
            ]
        ranks = gather_over_processes(found, self._process)
        return tuple(
            _row(part.dataset, step, [item for rank in ranks for item in rank[number]], averaged=learner.average is not None)
            for number, part in enumerate(self.settings.parts)
        )

    def _measure_clips(self, model: Network, part: ValidationPart, clips: Sequence[Survivor]) -> list["_Measured"]:
        def read_and_measure(config: StreamConfig, survivor: Survivor) -> ClipScores | str:
            sample: ClipSample = assemble(config, survivor)
            return measure_model(model, sample, part.evaluation, precision=self._precision)

        # A clip that fails is counted, and ends no training: not even if all do.
        reader = ItemReader(replace(part.stream, max_skips_in_row=max(len(clips), 1)), read_and_measure)
        return [_Measured(survivor.index, reader.read(survivor)) for survivor in clips]


@dataclass(frozen=True, slots=True)
class _Measured:
    """One clip: its place in the plan, and its scores, why it has none, or that it failed."""

    index: int
    result: ClipScores | str | SkippedClip


def _find_clips(part: ValidationPart) -> list[Survivor]:
    try:
        stream = ClipStream(part.stream)
        return list(takewhile(lambda survivor: part.num_clips is None or survivor.index < part.num_clips, stream.survivors_from(0)))
    except ConfigError as error:
        raise ConfigError(f"validation: part {part.dataset} ({part.root}): {error}") from error


def _row(part: str, step: int, measured: Sequence[_Measured], *, averaged: bool) -> ValidationRow:
    results = [each.result for each in sorted(measured, key=lambda each: each.index)]
    clips = [result for result in results if isinstance(result, ClipScores)]
    means = {name: mean for name, mean in summarise(clips).items() if mean.num_defined} if clips else {}
    return ValidationRow(
        step=step,
        part=part,
        averaged=averaged,
        num_clips=len(clips),
        num_left_out=sum(isinstance(result, str) for result in results),
        num_failed=sum(isinstance(result, SkippedClip) for result in results),
        measures={name: mean.value for name, mean in means.items()},
        clips_where_defined={name: mean.num_defined for name, mean in means.items()},
    )
