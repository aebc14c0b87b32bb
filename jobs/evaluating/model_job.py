"""jobs/evaluate.py model, and labels of other kinds than tracks, without the command line: all on the same clips with truth."""

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from jobs.console import ProgressLine
from jobs.devices import choose_device
from jobs.evaluating.frame_choice import FrameChoice
from jobs.evaluating.job import ClipError
from jobs.evaluating.model_stage import READING, ModelStage, scores_of_document
from jobs.evaluating.shard_results import ShardResults, errors_of, made_from, results_folder
from jobs.evaluating.subjects import Checkpoint, LabelSetOnClips, Subject
from jobs.execution.missing import shards_to_do
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from networks.layers.computing import FORWARD_PRECISIONS
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.layout import Layout
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.plan import PlanCounts, plan_uris, read_plan_counts
from pipeline.stream import StreamConfig
from pipeline.tables import read_document
from trainer.evaluation import ClipScores, EvaluationSettings, stream_of_truth

_LOG = logging.getLogger(__name__)
_SETTINGS = ("split", "num_frames", "frame_stride", "sources", "device", "precision", "num_gpus_per_worker")  # that results depend on


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEvaluatingConfig:
    """All that jobs/evaluate.py model is asked for, or jobs/evaluate.py labels of sets of other kinds than tracks."""

    root: str
    checkpoints: tuple[str, ...] = ()  # these
    label_sets: tuple[str, ...] = ()  # or these, of whole clips
    split: str | None = None  # train | val | test; None takes all
    num_frames: int | None = 24  # of a clip, from a place drawn by the seed; shorter clips, and all of label sets, are taken whole
    frame_stride: int = 1
    frames: FrameChoice | None = None  # in the place of `num_frames` at `frame_stride`
    sources: tuple[str, ...] = ("*",)  # patterns of the sources of clips, as the shell has them; others are left out
    limit: int | None = None  # at most so many clips of the plan, its first ones
    settings: EvaluationSettings = field(default_factory=EvaluationSettings)
    device: str = "auto"
    precision: str = "auto"
    out: str | None = None  # folder in which each shard's result is kept; None: an evaluation that is killed begins anew
    executor: Executor = Executor(name="inline", limits=Limits())
    num_gpus_per_worker: float = 0.0  # on Ray

    def __post_init__(self) -> None:
        if not self.checkpoints and not self.label_sets:
            raise ConfigError("no checkpoint was given; name one or more with --checkpoint")
        for what, names in (("checkpoint", self.checkpoints), ("label set", self.label_sets)):
            if len(set(names)) < len(names):
                raise ConfigError(f"a {what} was given twice: {', '.join(names)}; name each once")
        if self.checkpoints and self.label_sets:
            raise ConfigError("checkpoints and label sets were given; measure them one after the other")
        if self.label_sets:
            object.__setattr__(self, "num_frames", None)
        if self.precision not in ("auto", *FORWARD_PRECISIONS):
            raise ConfigError(f"--precision is {self.precision!r}, expected auto, {', '.join(FORWARD_PRECISIONS)}")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"--limit is {self.limit}, expected at least 1")

    @property
    def stream(self) -> StreamConfig:
        """Every clip once, in plan order, with all truth."""
        num_frames = self.num_frames if self.frames is None else None
        return stream_of_truth(self.root, split=self.split, num_frames=num_frames, frame_stride=self.frame_stride, seed=self.settings.seed)

    def subjects(self) -> tuple[Subject, ...]:
        """What is measured, in the order asked for."""
        checkpoints = [Checkpoint(source=source, device=self.device, precision=self.precision) for source in self.checkpoints]
        return (*checkpoints, *(LabelSetOnClips(root=storage.absolute(self.root), source=name) for name in self.label_sets))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SubjectScores:
    """One checkpoint, or one label set, on the clips that all could be measured on."""

    source: str  # as it was asked for
    about: str  # the checkpoint's model, or the label set's kind
    identity: Mapping[str, Any]  # under `checkpoint` or `label_set`, in JSON types
    clips: tuple[ClipScores, ...]  # in plan order

    @property
    def short_name(self) -> str:
        """The end of a checkpoint's path, which tells it from others beside it."""
        return "/".join(self.source.rstrip("/").rsplit("/", 2)[-2:])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModelEvaluation:
    """The outcome, with what is needed to know what was evaluated."""

    config: ModelEvaluatingConfig
    dataset: dict[str, Any]  # dataset.json
    plan_hash: str
    subjects: tuple[SubjectScores, ...]
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
        return tuple(clip.key for clip in self.subjects[0].clips)


def evaluate_models(config: ModelEvaluatingConfig) -> ModelEvaluation:
    """Measure checkpoints or label sets, one after the other, on the clips of a dataset that have truth.

    Raises: ConfigError for a root, a checkpoint or a label set that is not there, or if no clip can be measured; StorageError, once the
        other shards are done, if some could not be read.
    """
    root = storage.absolute(config.root)
    if not plan_uris(root):
        raise ConfigError(f"{root} holds no plan; make it with jobs/convert.py or jobs/synthesize.py first, or check --root")
    if config.executor.name == "inline" and config.checkpoints:
        choose_device(config.device)  # refused before anything is read
    plan = read_plan_counts(root)
    spans = _spans(plan, config)
    with config.executor.session():
        walks = [_walk(config, root, subject, spans) for subject in config.subjects()]
    num_clips = sum(map(len, spans.values()))
    if not any(document["clips"] or document["errors"] for walk in walks for document in walk):
        raise ConfigError(_nothing_measured(config, num_clips, _left_out(walks)))
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


def _walk(config: ModelEvaluatingConfig, root: str, subject: Subject, spans: Mapping[int, range]) -> list[dict[str, Any]]:
    """Results of each shard in plan order: of an earlier run, or measured now."""
    settings = {
        **asdict(config.settings),
        **{name: getattr(config, name) for name in _SETTINGS},
        "frames": config.frames and asdict(config.frames),
        **subject.settings(),
    }
    folder = results_folder(config.out, settings)
    identity = made_from(root, [*spans], subject.label_sets, places={shard: [span.start, span.stop] for shard, span in spans.items()})
    results = ShardResults(folder=folder, made_from=identity)
    kept = results.kept()
    missing = [shard for shard in shards_to_do(root, needs=Layout(root).shards, makes=folder).missing if shard in spans]
    stage = ModelStage(
        subject=subject,
        stream=config.stream,
        settings=config.settings,
        spans=spans,
        results=results,
        frames=config.frames,
        sources=config.sources,
    )
    with ProgressLine(f"evaluating {subject.source.rsplit('/', 1)[-1]}", sum(len(spans[shard]) for shard in missing), "clips") as progress:
        found = config.executor.run(stage, missing, progress, num_gpus=config.num_gpus_per_worker).results
    return [document for _, document in sorted({**kept, **found}.items())]


def _collected(config: ModelEvaluatingConfig, walks: Sequence[Sequence[Mapping[str, Any]]]) -> ModelEvaluation:
    """The clips that every subject was measured on; errors of one are errors of all."""
    errors = [[row for document in walk for row in errors_of(document)] for walk in walks]
    measuring = [row for walk in errors for row in walk if row.stage != READING]
    shared = set.intersection(*({clip["key"] for document in walk for clip in document["clips"]} for walk in walks))
    for row in (row for walk in errors for row in walk):
        _LOG.warning("left out: clip %s: %s", row.key, row.message)
    return ModelEvaluation(
        config=config,
        dataset={},
        plan_hash="",
        subjects=tuple(_scores_of(subject.source, walk, shared) for subject, walk in zip(config.subjects(), walks, strict=True)),
        precision=", ".join(dict.fromkeys(document["precision"] for walk in walks for document in walk)),
        left_out=_left_out(walks),
        clip_errors=tuple(ClipError(key=row.key, message=row.message) for row in measuring),
        num_unreadable=sum(row.stage == READING for row in errors[0]),
        num_clips=0,
        pose_sources=_counted(walks[0], "pose_sources"),
        unexpected=tuple(row for walk in errors for row in walk if row.unexpected),
    )


def _scores_of(source: str, walk: Sequence[Mapping[str, Any]], shared: set[str]) -> SubjectScores:
    clips = (scores_of_document(clip) for document in walk for clip in document["clips"])
    identity = {name: walk[0][name] for name in ("checkpoint", "label_set") if name in walk[0]}
    about = identity["checkpoint"]["model"] if "checkpoint" in identity else identity["label_set"]["kind"]
    return SubjectScores(source=source, about=about, identity=identity, clips=tuple(clip for clip in clips if clip.key in shared))


def _left_out(walks: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """Clips by reason. What the truth lacks is found by each subject again, and counted once."""
    return dict(sorted(reduce(or_, (Counter(_counted(walk, "left_out")) for walk in walks)).items()))


def _counted(walk: Sequence[Mapping[str, Any]], name: str) -> dict[str, int]:
    return dict(sorted(sum((Counter(document[name]) for document in walk), Counter[str]()).items()))


def _nothing_measured(config: ModelEvaluatingConfig, num_clips: int, left_out: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "there is none"
    split = f" of split {config.split}" if config.split else ""
    return (
        f"none of the {num_clips} clips{split} can be evaluated ({reasons}); truth comes with datasets made by"
        " jobs/convert.py or jobs/synthesize.py"
    )
