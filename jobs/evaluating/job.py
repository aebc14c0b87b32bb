"""jobs/evaluate.py labels without its command line: label sets of a dataset against its true tracks."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.console import ProgressLine
from jobs.evaluating.measures import LabelMeasures, clip_of_document
from jobs.evaluating.shard_results import ShardResults, errors_of, made_from, results_folder
from jobs.evaluating.stage import EvaluateStage
from jobs.execution.missing import shards_to_do
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.labels import is_kind, read_label_set
from pipeline.layout import Layout
from pipeline.metrics.error_histogram import ErrorHistogram
from pipeline.metrics.label_comparison import comparison_settings
from pipeline.metrics.tapvid import QUERY_MODES
from pipeline.records import LabelSet, TrackLabels
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.plan import plan_uris, read_plan_counts
from pipeline.tables import read_document
from trainer.evaluation import SCORED

MEASURED_KINDS = (TrackLabels.kind, *SCORED)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluatingConfig:
    """All that jobs/evaluate.py labels is asked for."""

    root: str
    label_sets: tuple[str, ...]
    split: str | None = None  # train | val | test; None takes all
    query_mode: str = "first"  # first | strided: which frames count
    out: str | None = None  # folder in which each shard's result is kept; None: an evaluation that is killed begins anew
    executor: Executor = Executor(name="inline", limits=Limits())

    def __post_init__(self) -> None:
        if not self.label_sets:
            raise ConfigError("no label set was given; name one or more with --labels")
        if len(set(self.label_sets)) < len(self.label_sets):
            raise ConfigError(f"a label set was given twice: {', '.join(self.label_sets)}; name each once")
        if self.query_mode not in QUERY_MODES:
            raise ConfigError(f"--mode is {self.query_mode!r}, expected one of {', '.join(QUERY_MODES)}")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SetEvaluation:
    """One label set on the clips that all sets could be measured on."""

    label_set: LabelSet
    clips: tuple[LabelMeasures, ...]  # in plan order
    errors: ErrorHistogram


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipError:
    """A clip whose truth or labels could not be read."""

    key: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evaluation:
    """The outcome, with what is needed to know what was evaluated."""

    config: EvaluatingConfig
    dataset: dict[str, Any]  # dataset.json
    plan_hash: str
    sets: tuple[SetEvaluation, ...]
    left_out: dict[str, int]  # clips by reason
    clip_errors: tuple[ClipError, ...]
    num_clips: int  # looked at: cut or not, of the split
    unexpected: tuple[ErrorRow, ...] = ()  # of the errors: those that nobody foresaw; with results that are kept, the next run tries again

    @property
    def keys(self) -> tuple[str, ...]:
        """The clips that were measured."""
        return tuple(clip.key for clip in self.sets[0].clips)


def measured_kind(root: str, label_sets: Sequence[str], asked: str | None) -> str:
    """The kind that label sets are measured as: what is asked for, else their own; tracks, where only some are known in space.

    Raises: ConfigError for a set that does not exist or is not of the kind asked for, for sets of several kinds, and for a kind that
        nothing measures.
    """
    root = storage.absolute(root)
    kinds = {name: read_label_set(root, name, kind=asked).kind for name in label_sets}
    kind = asked or next((kind for kind in kinds.values() if all(is_kind(other, kind) for other in kinds.values())), None)
    found = ", ".join(f"{name} of {kind}" for name, kind in kinds.items())
    if kind is None:
        raise ConfigError(f"label sets of several kinds cannot be compared: {found}; name sets of one kind")
    if kind not in MEASURED_KINDS:
        raise ConfigError(f"no truth is compared with {found}; labels of {', '.join(MEASURED_KINDS)} are measured")
    return kind


def evaluate_labels(config: EvaluatingConfig) -> Evaluation:
    """Measure label sets against the true tracks of a dataset, all on the same clips.

    Raises: ConfigError for a set that does not exist, or whose queries are no true points, or if no clip can be measured.
    """
    root = storage.absolute(config.root)
    if not plan_uris(root):
        raise ConfigError(f"{root} holds no plan; make it with jobs/convert.py or jobs/synthesize.py first, or check --root")
    label_sets = [read_label_set(root, name, kind=TrackLabels.kind) for name in config.label_sets]
    plan = read_plan_counts(root)
    sizes = {shard: count for shard, count in zip(plan.shards.tolist(), plan.counts(config.split).tolist(), strict=True) if count}
    documents = [document for _, document in sorted(_by_shard(config, root, sizes).items())]
    errors = [row for document in documents for row in errors_of(document)]
    for row in errors:
        _LOG.warning("left out: %s", row.message)
    evaluation = Evaluation(
        config=config,
        dataset=read_document(Layout(root).dataset, "dataset") if storage.exists(Layout(root).dataset) else {},
        plan_hash=plan.plan_hash,
        sets=tuple(_of_set(label_set, [document["sets"][place] for document in documents]) for place, label_set in enumerate(label_sets)),
        left_out=dict(sorted(sum((Counter(document["left_out"]) for document in documents), Counter[str]()).items())),
        clip_errors=tuple(ClipError(key=row.key, message=row.message) for row in errors),
        num_clips=sum(document["num_clips"] for document in documents),
        unexpected=tuple(row for row in errors if row.unexpected),
    )
    if not evaluation.keys and not evaluation.clip_errors:
        raise ConfigError(_nothing_measured(evaluation))
    return evaluation


def _by_shard(config: EvaluatingConfig, root: str, sizes: Mapping[int, int]) -> dict[int, dict[str, Any]]:
    """Results of each shard: of an earlier run, or measured now."""
    settings = {**comparison_settings(config.query_mode), "label_sets": config.label_sets, "split": config.split}
    folder = results_folder(config.out, settings)
    results = ShardResults(folder=folder, made_from=made_from(root, [*sizes], config.label_sets))
    kept = results.kept()
    missing = [shard for shard in shards_to_do(root, needs=Layout(root).shards, makes=folder).missing if shard in sizes]
    stage = EvaluateStage(
        root=root, label_sets=config.label_sets, split=config.split, query_mode=config.query_mode, sizes=sizes, results=results
    )
    with config.executor.session(), ProgressLine("evaluating", sum(sizes[shard] for shard in missing), "clips") as progress:
        return {**kept, **config.executor.run(stage, missing, progress).results}


def _of_set(label_set: LabelSet, shards: Sequence[Mapping[str, Any]]) -> SetEvaluation:
    errors = ErrorHistogram()
    for shard in shards:
        errors.include(ErrorHistogram.of_document(shard["errors_px"]))
    return SetEvaluation(
        label_set=label_set, clips=tuple(clip_of_document(clip) for shard in shards for clip in shard["clips"]), errors=errors
    )


def _nothing_measured(evaluation: Evaluation) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in evaluation.left_out.items()) or "there is none"
    split = f" of split {evaluation.config.split}" if evaluation.config.split else ""
    return (
        f"none of the {evaluation.num_clips} clips{split} can be evaluated ({reasons}); true tracks come with datasets made by"
        " jobs/convert.py or jobs/synthesize.py, labels of them from jobs/pseudolabel.py --query-policy truth"
    )
