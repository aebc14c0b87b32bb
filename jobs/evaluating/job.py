"""jobs/evaluate.py labels without its command line: label sets of a dataset against its true tracks."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.console import ProgressLine
from jobs.evaluating.clip import SetProgress, measure_in_all
from jobs.evaluating.measures import ClipMeasures
from pipeline import storage
from pipeline.errors import ConfigError, DataError
from pipeline.labels import read_label_set, read_label_shard
from pipeline.layout import Layout, committed
from pipeline.metrics.error_histogram import ErrorHistogram
from pipeline.metrics.tapvid import QUERY_MODES
from pipeline.records import LabelSet
from pipeline.shards.index import ClipEntry, read_index
from pipeline.shards.plan import plan_uris, read_plan_counts
from pipeline.shards.tombstones import read_tombstones
from pipeline.tables import read_document

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluatingConfig:
    """All that jobs/evaluate.py labels is asked for."""

    root: str
    label_sets: tuple[str, ...]
    split: str | None = None  # train | val | test; None takes all
    query_mode: str = "first"  # first | strided: which frames count

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
    clips: tuple[ClipMeasures, ...]  # in plan order
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

    @property
    def keys(self) -> tuple[str, ...]:
        """The clips that were measured."""
        return tuple(clip.key for clip in self.sets[0].clips)


def evaluate_labels(config: EvaluatingConfig) -> Evaluation:
    """Measure label sets against the true tracks of a dataset, all on the same clips.

    Raises: ConfigError for a set that does not exist, or whose queries are no true points, or if no clip can be measured.
    """
    root = storage.absolute(config.root)
    if not plan_uris(root):
        raise ConfigError(f"{root} holds no plan; make it with jobs/convert.py or jobs/synthesize.py first, or check --root")
    label_sets = [read_label_set(root, name) for name in config.label_sets]
    sets = [SetProgress(name=name, clips=[], errors=ErrorHistogram()) for name in config.label_sets]
    plan = read_plan_counts(root)
    left_out: Counter[str] = Counter()
    clip_errors: list[ClipError] = []
    num_clips = 0
    with ProgressLine("evaluating", int(plan.counts(config.split).sum()), "clips") as progress:
        for entry in _entries(root, config.split, sets):
            num_clips, before = num_clips + 1, len(clip_errors)
            try:
                reason = measure_in_all(root, entry, sets, query_mode=config.query_mode)
            except DataError as error:  # the per-clip border of this job
                _LOG.warning("left out: %s", error)
                clip_errors.append(ClipError(key=entry.key, message=str(error)))
                reason = "cannot be read"
            left_out.update([reason] if reason else [])
            progress.advance(1, len(clip_errors) - before)
    evaluation = Evaluation(
        config=config,
        dataset=read_document(Layout(root).dataset, "dataset") if storage.exists(Layout(root).dataset) else {},
        plan_hash=plan.plan_hash,
        sets=tuple(
            SetEvaluation(label_set=label_set, clips=tuple(done.clips), errors=done.errors)
            for label_set, done in zip(label_sets, sets, strict=True)
        ),
        left_out=dict(sorted(left_out.items())),
        clip_errors=tuple(clip_errors),
        num_clips=num_clips,
    )
    if not evaluation.keys and not clip_errors:
        raise ConfigError(_nothing_measured(evaluation))
    return evaluation


def _entries(root: str, split: str | None, sets: Sequence[SetProgress]) -> Iterator[ClipEntry]:
    """The clips to evaluate, in plan order; the sets' shards are opened along."""
    tombstones = read_tombstones(root)
    for shard in sorted(committed(storage.join(root, "shards"))):
        for labelled in sets:
            there = storage.exists(Layout(root).label_shard(labelled.name, shard))
            labelled.shard = read_label_shard(root, labelled.name, shard) if there else None
        for entry in read_index(root, shard):
            if split in (None, entry.split) and not tombstones.cover(entry):
                yield entry


def _nothing_measured(evaluation: Evaluation) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in evaluation.left_out.items()) or "there is none"
    split = f" of split {evaluation.config.split}" if evaluation.config.split else ""
    return (
        f"none of the {evaluation.num_clips} clips{split} can be evaluated ({reasons}); true tracks come with datasets made by"
        " jobs/convert.py or jobs/synthesize.py, labels of them from jobs/pseudolabel.py --query-policy truth"
    )
