"""jobs/evaluate.py model without its command line: checkpoints on a dataset with truth, all on the same clips."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import torch

from jobs.console import ProgressLine
from jobs.devices import choose_device, choose_precision
from jobs.evaluating.job import ClipError
from jobs.loading_models import CheckpointInfo, load_checkpoint
from networks import model_name
from networks.building import Network
from networks.inputs import fitted_size
from pipeline import storage
from pipeline.errors import ConfigError, DataError
from pipeline.layout import Layout
from pipeline.records import ClipSample
from pipeline.shards.plan import plan_uris, read_plan_counts
from pipeline.stream import ClipStream, StreamConfig
from pipeline.tables import read_document
from trainer.evaluation import ClipScores, EvaluationSettings, choose_tracks, lacks_truth, measure_clip
from trainer.families import family_of
from trainer.inference import predict, resize_frames
from trainer.inference.prediction import PRECISIONS

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEvaluatingConfig:
    """All that jobs/evaluate.py model is asked for."""

    root: str
    checkpoints: tuple[str, ...]
    split: str | None = None  # train | val | test; None takes all
    num_frames: int = 24  # of a clip, from a place drawn by the seed; shorter clips are taken whole
    frame_stride: int = 1
    limit: int | None = None  # at most so many clips of the plan
    settings: EvaluationSettings = field(default_factory=EvaluationSettings)
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        if not self.checkpoints:
            raise ConfigError("no checkpoint was given; name one or more with --checkpoint")
        if len(set(self.checkpoints)) < len(self.checkpoints):
            raise ConfigError(f"a checkpoint was given twice: {', '.join(self.checkpoints)}; name each once")
        if self.precision not in ("auto", *PRECISIONS):
            raise ConfigError(f"--precision is {self.precision!r}, expected auto, {', '.join(PRECISIONS)}")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"--limit is {self.limit}, expected at least 1")

    @property
    def stream(self) -> StreamConfig:
        """Every clip once, in plan order, with all truth."""
        return StreamConfig(
            root=self.root,
            split=self.split,
            num_frames=self.num_frames,
            frame_stride=self.frame_stride,
            seed=self.settings.seed,
            epochs=1,
            shuffle=False,
            evaluation_truth=True,
            on_error="skip",
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CheckpointScores:
    """One checkpoint on the clips that all checkpoints could be measured on."""

    info: CheckpointInfo
    clips: tuple[ClipScores, ...]  # in plan order


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModelEvaluation:
    """The outcome, with what is needed to know what was evaluated."""

    config: ModelEvaluatingConfig
    dataset: dict[str, Any]  # dataset.json
    plan_hash: str
    checkpoints: tuple[CheckpointScores, ...]
    precision: str
    left_out: dict[str, int]  # clips by reason
    clip_errors: tuple[ClipError, ...]
    num_unreadable: int  # clips that the stream could not read
    num_clips: int  # looked at
    pose_sources: dict[str, int]  # clips by where their poses come from: gt, pseudo

    @property
    def keys(self) -> tuple[str, ...]:
        """The clips that were measured."""
        return tuple(clip.key for clip in self.checkpoints[0].clips)


@dataclass(slots=True)
class _Progress:
    """What the walk over the clips has found."""

    clips: list[ClipScores] = field(default_factory=list)
    errors: list[ClipError] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    pose_sources: Counter[str] = field(default_factory=Counter)
    num_unreadable: int = 0


def evaluate_models(config: ModelEvaluatingConfig) -> ModelEvaluation:
    """Measure checkpoints, one after the other, on the clips of a dataset that have truth.

    Raises: ConfigError for a root or a checkpoint that is not there, or if no clip can be measured.
    """
    root = storage.absolute(config.root)
    if not plan_uris(root):
        raise ConfigError(f"{root} holds no plan; make it with jobs/convert.py or jobs/synthesize.py first, or check --root")
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    plan = read_plan_counts(root)
    planned = int(plan.counts(config.split).sum())
    num_clips = planned if config.limit is None else min(planned, config.limit)
    walks: list[tuple[CheckpointInfo, _Progress]] = []
    with ProgressLine("evaluating", num_clips * len(config.checkpoints), "clips") as progress:
        for source in config.checkpoints:
            walks.append(_walk(config, source, device=device, precision=precision, progress=progress))
    evaluation = _collected(config, walks, precision)
    evaluation = replace(
        evaluation,
        dataset=read_document(Layout(root).dataset, "dataset") if storage.exists(Layout(root).dataset) else {},
        plan_hash=plan.plan_hash,
        num_clips=num_clips,
    )
    if not evaluation.keys and not evaluation.clip_errors and not evaluation.num_unreadable:
        raise ConfigError(_nothing_measured(evaluation))
    return evaluation


def _walk(
    config: ModelEvaluatingConfig, source: str, *, device: torch.device, precision: str, progress: ProgressLine
) -> tuple[CheckpointInfo, _Progress]:
    """One checkpoint over all clips."""
    model, info = load_checkpoint(source, device)
    found, stream = _Progress(), ClipStream(config.stream)
    for sample in _limited(stream, config.limit):
        before = len(found.errors)
        if lacks_truth(sample):
            found.left_out.update(["no poses, depth or tracks in space"])
        else:
            try:
                found.clips.append(_measured(model, sample, config.settings, precision))
                found.pose_sources.update([sample.pose_source] if sample.pose_source else [])
            except DataError as error:  # the per-clip border of this job
                _LOG.warning("left out: clip %s: %s", sample.key, error)
                found.errors.append(ClipError(key=sample.key, message=str(error)))
        progress.advance(1, len(found.errors) - before)
    found.num_unreadable = stream.num_skipped
    return info, found


def _limited(stream: ClipStream, limit: int | None) -> Iterator[ClipSample]:
    return islice(stream, limit)


def _measured(model: Network, sample: ClipSample, settings: EvaluationSettings, precision: str) -> ClipScores:
    height, width = sample.frames.shape[1:3]
    size = fitted_size(width / height, settings.pixel_budget, patch=family_of(model_name(model)).patch_size(model))
    chosen = choose_tracks(sample, size, at_most=settings.num_tracks) if "tracks3d" in settings.protocols else None
    frames = resize_frames(sample.frames, size)
    prediction = predict(model, frames, None if chosen is None else chosen.queries, precision=precision)
    return measure_clip(prediction, sample, chosen, settings)


def _collected(config: ModelEvaluatingConfig, walks: list[tuple[CheckpointInfo, _Progress]], precision: str) -> ModelEvaluation:
    """The clips that every checkpoint was measured on; the others are errors of all."""
    failed = {error.key for _, found in walks for error in found.errors}
    first = walks[0][1]
    return ModelEvaluation(
        config=config,
        dataset={},
        plan_hash="",
        checkpoints=tuple(
            CheckpointScores(info=info, clips=tuple(clip for clip in found.clips if clip.key not in failed)) for info, found in walks
        ),
        precision=precision,
        left_out=dict(sorted(first.left_out.items())),
        clip_errors=tuple(error for _, found in walks for error in found.errors),
        num_unreadable=first.num_unreadable,
        num_clips=0,
        pose_sources=dict(sorted(first.pose_sources.items())),
    )


def _nothing_measured(evaluation: ModelEvaluation) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in evaluation.left_out.items()) or "there is none"
    split = f" of split {evaluation.config.split}" if evaluation.config.split else ""
    return (
        f"none of the {evaluation.num_clips} clips{split} can be evaluated ({reasons}); truth comes with datasets made by"
        " jobs/convert.py or jobs/synthesize.py"
    )
