"""jobs/evaluate.py model without its command line: checkpoints on a dataset with truth, all on the same clips."""

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from jobs.console import ProgressLine
from jobs.devices import choose_device
from jobs.evaluating.job import ClipError
from jobs.evaluating.model_stage import READING, Computing, ModelStage, scores_of_document
from jobs.evaluating.shard_results import ShardResults, errors_of, made_from, results_folder
from jobs.execution.missing import shards_to_do
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.loading_models import CheckpointInfo
from networks.layers.computing import FORWARD_PRECISIONS
from networks.weights import read_weights
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.layout import Layout
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.plan import PlanCounts, plan_uris, read_plan_counts
from pipeline.stream import StreamConfig
from pipeline.tables import read_document
from trainer.evaluation import ClipScores, EvaluationSettings

_LOG = logging.getLogger(__name__)
_SETTINGS = ("split", "num_frames", "frame_stride", "first_frames", "device", "precision", "num_gpus_per_worker")  # that results depend on


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEvaluatingConfig:
    """All that jobs/evaluate.py model is asked for."""

    root: str
    checkpoints: tuple[str, ...]
    split: str | None = None  # train | val | test; None takes all
    num_frames: int = 24  # of a clip, from a place drawn by the seed; shorter clips are taken whole
    frame_stride: int = 1
    first_frames: int | None = None  # take so many first frames of each clip instead of `num_frames` from a place drawn
    limit: int | None = None  # at most so many clips of the plan, its first ones
    settings: EvaluationSettings = field(default_factory=EvaluationSettings)
    device: str = "auto"
    precision: str = "auto"
    out: str | None = None  # folder in which each shard's result is kept; None: an evaluation that is killed begins anew
    executor: Executor = Executor(name="inline", limits=Limits())
    num_gpus_per_worker: float = 0.0  # on Ray

    def __post_init__(self) -> None:
        if not self.checkpoints:
            raise ConfigError("no checkpoint was given; name one or more with --checkpoint")
        if len(set(self.checkpoints)) < len(self.checkpoints):
            raise ConfigError(f"a checkpoint was given twice: {', '.join(self.checkpoints)}; name each once")
        if self.precision not in ("auto", *FORWARD_PRECISIONS):
            raise ConfigError(f"--precision is {self.precision!r}, expected auto, {', '.join(FORWARD_PRECISIONS)}")
        if self.first_frames is not None and self.first_frames < 1:
            raise ConfigError(f"--clip-frames is {self.first_frames}, expected at least 1")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"--limit is {self.limit}, expected at least 1")

    @property
    def stream(self) -> StreamConfig:
        """Every clip once, in plan order, with all truth."""
        return StreamConfig(
            root=self.root,
            split=self.split,
            num_frames=self.num_frames if self.first_frames is None else None,
            frame_stride=self.frame_stride,
            seed=self.settings.seed,
            epochs=1,
            shuffle=False,
            fit="stretch",  # figures are of whole pictures
            evaluation_truth=True,
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
    unexpected: tuple[ErrorRow, ...] = ()  # errors that nobody foresaw; with results that are kept, the next run tries again

    @property
    def keys(self) -> tuple[str, ...]:
        """The clips that were measured."""
        return tuple(clip.key for clip in self.checkpoints[0].clips)


def evaluate_models(config: ModelEvaluatingConfig) -> ModelEvaluation:
    """Measure checkpoints, one after the other, on the clips of a dataset that have truth.

    Raises: ConfigError for a root or a checkpoint that is not there, or if no clip can be measured; StorageError, once the other shards
        are done, if some could not be read.
    """
    root = storage.absolute(config.root)
    if not plan_uris(root):
        raise ConfigError(f"{root} holds no plan; make it with jobs/convert.py or jobs/synthesize.py first, or check --root")
    if config.executor.name == "inline":
        choose_device(config.device)  # refused before anything is read
    plan = read_plan_counts(root)
    spans = _spans(plan, config)
    with config.executor.session():
        walks = [_walk(config, root, source, spans) for source in config.checkpoints]
    num_clips = sum(map(len, spans.values()))
    if not any(document["clips"] or document["errors"] for walk in walks for document in walk):
        raise ConfigError(_nothing_measured(config, num_clips, _counted(walks[0], "left_out")))
    return replace(
        _collected(config, walks),
        dataset=read_document(Layout(root).dataset, "dataset") if storage.exists(Layout(root).dataset) else {},
        plan_hash=plan.plan_hash,
        num_clips=num_clips,
    )


def _spans(plan: PlanCounts, config: ModelEvaluatingConfig) -> dict[int, range]:
    """The places of each shard's planned clips in the stream; those beyond the limit, and shards without any, are left out."""
    counts = plan.counts(config.split)
    ends = np.cumsum(counts).tolist()
    limit = math.inf if config.limit is None else config.limit
    spans = {
        shard: range(end - count, min(end, limit)) for shard, count, end in zip(plan.shards.tolist(), counts.tolist(), ends, strict=True)
    }
    return {shard: span for shard, span in spans.items() if len(span)}


def _walk(config: ModelEvaluatingConfig, root: str, checkpoint: str, spans: Mapping[int, range]) -> list[dict[str, Any]]:
    """Results of each shard in plan order: of an earlier run, or measured now."""
    settings = {
        **asdict(config.settings),
        **{name: getattr(config, name) for name in _SETTINGS},
        "checkpoint_sha256": read_weights(checkpoint).sha256,
    }
    folder = results_folder(config.out, settings)
    identity = made_from(root, [*spans], places={shard: [span.start, span.stop] for shard, span in spans.items()})
    results = ShardResults(folder=folder, made_from=identity)
    kept = results.kept()
    missing = [shard for shard in shards_to_do(root, needs=Layout(root).shards, makes=folder).missing if shard in spans]
    stage = ModelStage(
        computing=Computing(checkpoint=checkpoint, device=config.device, precision=config.precision),
        stream=config.stream,
        settings=config.settings,
        spans=spans,
        results=results,
        first_frames=config.first_frames,
    )
    with ProgressLine(f"evaluating {checkpoint.rsplit('/', 1)[-1]}", sum(len(spans[shard]) for shard in missing), "clips") as progress:
        found = config.executor.run(stage, missing, progress, num_gpus=config.num_gpus_per_worker).results
    return [document for _, document in sorted({**kept, **found}.items())]


def _collected(config: ModelEvaluatingConfig, walks: Sequence[Sequence[Mapping[str, Any]]]) -> ModelEvaluation:
    """The clips that every checkpoint was measured on; the others are errors of all."""
    errors = [[row for document in walk for row in errors_of(document)] for walk in walks]
    measuring = [row for walk in errors for row in walk if row.stage != READING]
    failed, first = {row.key for row in measuring}, walks[0]
    for row in (row for walk in errors for row in walk):
        _LOG.warning("left out: clip %s: %s", row.key, row.message)
    return ModelEvaluation(
        config=config,
        dataset={},
        plan_hash="",
        checkpoints=tuple(_scores_of(checkpoint, walk, failed) for checkpoint, walk in zip(config.checkpoints, walks, strict=True)),
        precision=", ".join(dict.fromkeys(document["precision"] for walk in walks for document in walk)),
        left_out=_counted(first, "left_out"),
        clip_errors=tuple(ClipError(key=row.key, message=row.message) for row in measuring),
        num_unreadable=sum(row.stage == READING for row in errors[0]),
        num_clips=0,
        pose_sources=_counted(first, "pose_sources"),
        unexpected=tuple(row for walk in errors for row in walk if row.unexpected),
    )


def _scores_of(checkpoint: str, walk: Sequence[Mapping[str, Any]], failed: set[str]) -> CheckpointScores:
    clips = (scores_of_document(clip) for document in walk for clip in document["clips"])
    info = CheckpointInfo(**{**walk[0]["checkpoint"], "source": checkpoint})
    return CheckpointScores(info=info, clips=tuple(clip for clip in clips if clip.key not in failed))


def _counted(walk: Sequence[Mapping[str, Any]], name: str) -> dict[str, int]:
    return dict(sorted(sum((Counter(document[name]) for document in walk), Counter[str]()).items()))


def _nothing_measured(config: ModelEvaluatingConfig, num_clips: int, left_out: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "there is none"
    split = f" of split {config.split}" if config.split else ""
    return (
        f"none of the {num_clips} clips{split} can be evaluated ({reasons}); truth comes with datasets made by"
        " jobs/convert.py or jobs/synthesize.py"
    )
