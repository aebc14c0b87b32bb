"""jobs/pseudolabel.py without its command line: the label set, the shards that lack it, the executor."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import typer

from jobs.execution.missing import shards_to_do
from jobs.execution.run import Executor
from jobs.execution.units import PoolConfig
from jobs.labeling.compute import options_on_driver, options_on_worker
from jobs.labeling.filling import Filled, fill_shards, num_workers_for
from jobs.labeling.screened import SCREEN, ScreenedShards, check_screened, obeyed_screen
from jobs.labeling.shards import num_unexpected
from jobs.labeling.stage import LabelStage, LabelTotals
from jobs.labeling.worker import FRAMES_IN_MEMORY, WorkerSettings
from labelers import QueryPolicy, kind_of, make_labeler
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.labels import KINDS, LabelKind, kind_named, sets_on_other_frames, write_label_set
from pipeline.layout import Layout
from pipeline.records import LabelSet, TrackLabels
from pipeline.shards.errors_table import ErrorRow, read_errors
from pipeline.shards.plan import plan_uris


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelingConfig:
    """All that jobs/pseudolabel.py is asked for."""

    root: str
    labeler: str
    labeler_options: Mapping[str, Any]
    queries: QueryPolicy
    executor: Executor
    num_workers: int | None = None  # None: as many as the cluster's CPUs, or GPUs, allow
    num_cpus_per_worker: float = 1.0
    num_gpus_per_worker: float = 0.0
    clips_per_batch: int = 1
    items_ahead: int = 1
    frames_in_memory: int = FRAMES_IN_MEMORY  # longer clips are read as a stream
    screen: str = "obey"  # or ignore: label what the screen dropped, too
    cycle: bool = False  # follow every track back, and store how far it ends from its query

    def __post_init__(self) -> None:
        if self.executor.name == "inline" and (self.num_workers or 1) > 1:
            raise ConfigError("--executor inline has one worker; use --executor ray for more")
        if self.clips_per_batch < 1:
            raise ConfigError(f"--clips-per-batch is {self.clips_per_batch}, expected at least 1")
        if self.frames_in_memory < 0:
            raise ConfigError(f"--frames-in-memory is {self.frames_in_memory}, expected 0 (every clip as a stream) or more")
        if self.screen not in SCREEN:
            raise ConfigError(f"--screen is {self.screen!r}, expected {' or '.join(SCREEN)}")
        self.pool(1 if self.num_workers is None else self.num_workers)

    def pool(self, num_workers: int) -> PoolConfig:
        """The pool with so many workers. Raises: ConfigError."""
        return PoolConfig(
            num_workers=num_workers,
            num_cpus=self.num_cpus_per_worker,
            num_gpus=self.num_gpus_per_worker,
            ahead=self.items_ahead,
        )

    def worker(self, root: str, *, screened: bool = False, kind: str = TrackLabels.kind) -> WorkerSettings:
        """Settings of each worker.

        Args:
            screened: it leaves out what the screen dropped.
            kind: of the labels that it makes.
        Raises: ConfigError if GPUs are asked for a labeler that cannot use one.
        """
        return WorkerSettings(
            root=root,
            labeler=self.labeler,
            labeler_options=options_on_worker(self.labeler, self.labeler_options, num_gpus=self.num_gpus_per_worker),
            queries=self.queries if kind_named(kind).has_queries else None,
            threads=max(1, int(self.num_cpus_per_worker)),
            frames_in_memory=self.frames_in_memory,
            screened=screened,
            cycle=self.cycle,
            kind=kind,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelingOutcome:
    """Outcome of the job."""

    label_set: str
    totals: LabelTotals
    num_clips: int  # of the shards of this run
    num_shards: int
    already_done: int  # shards
    not_cut: int  # planned shards without a commit
    elapsed_s: float  # from the making of the first labeler to the last commit
    kind: str = TrackLabels.kind  # of the labels
    screened: ScreenedShards | None = None  # of the shards of this run; None where no screen is obeyed
    unexpected: tuple[ErrorRow, ...] = ()  # of the whole label set: what nobody foresaw; the next run tries them again


def label_dataset(config: LabelingConfig, *, dry_run: bool) -> LabelingOutcome:
    """Label what is cut and not labelled yet. One job at a time makes a label set: the later one waits.

    Raises: ConfigError; StorageError, once the other shards are done, if some could not be committed.
    """
    root = storage.absolute(config.root)
    if not plan_uris(root):
        raise ConfigError(f"{root} holds no plan; make it with jobs/shard.py first, or check --root")
    screen = obeyed_screen(root, config.screen)
    label_set = describe(config, screen=screen)
    _name_older_sets(root, label_set)
    lock = None if dry_run else Layout(root).lock(f"labels/{label_set.name}")
    with storage.only_one(lock, f"the labels {label_set.name} of {root}"):
        return _label_missing(config, root, label_set, screen=screen, dry_run=dry_run)


def _name_older_sets(root: str, label_set: LabelSet) -> None:
    """Say so where a new label set is about to be begun beside one that differs in its query frames alone."""
    if storage.exists(Layout(root).label_set_json(label_set.name)):
        return
    for name, frames in sets_on_other_frames(root, label_set).items():
        typer.echo(f"note: {label_set.name} is a new label set; to go on with {name}, give --query-frames {frames}", err=True)


def _label_missing(config: LabelingConfig, root: str, label_set: LabelSet, *, screen: str | None, dry_run: bool) -> LabelingOutcome:
    settings = config.worker(root, screened=screen is not None, kind=label_set.kind)
    layout, stage = Layout(root), f"labels/{label_set.name}"
    todo = shards_to_do(root, needs=layout.shards, makes=layout.label_set(label_set.name), errors=stage)
    shards = todo.missing
    screened = None if screen is None else check_screened(root, shards)
    num_clips = todo.num_clips(todo.fresh) + num_unexpected(root, label_set.name, todo.again)
    filled = Filled(totals=LabelTotals(), elapsed_s=0.0)
    if shards and not dry_run:
        write_label_set(root, label_set)
        labelling = LabelStage(settings=settings, label_set=label_set.name, clips_per_batch=config.clips_per_batch)
        filled = fill_shards(
            labelling, config.executor, shards, pool=lambda: config.pool(_num_workers(config)), num_clips=num_clips, doing="labelling"
        )
    return LabelingOutcome(
        label_set=label_set.name,
        totals=filled.totals,
        num_clips=num_clips,
        num_shards=len(shards),
        already_done=len(todo.done),
        not_cut=len(todo.not_ready),
        elapsed_s=filled.elapsed_s,
        kind=label_set.kind,
        screened=screened,
        unexpected=tuple(row for row in read_errors(root, stage) if row.unexpected),
    )


def describe(config: LabelingConfig, *, screen: str | None = None) -> LabelSet:
    """The label set that this configuration makes. Where its workers compute is no part of it.

    Args:
        screen: identity of the screen that it obeys, if any. Part of the label set's, as `cycle` is; where there is neither, nothing
            is added, and the name is that of a labelling without them.
    Raises: ConfigError for a labeler that cannot be made, that makes labels of an unknown kind, or none that can be followed back.
    """
    labeler = make_labeler(config.labeler, **options_on_driver(config.labeler_options))
    made, kind = labeler.provenance(), _known_kind(config.labeler, kind_of(labeler))
    if config.cycle and not kind.has_queries:
        raise ConfigError(f"--cycle follows tracks back; labeler {config.labeler} makes {kind.name}: leave it away")
    return LabelSet(
        labeler=made.name,
        configuration={
            "options": dict(made.options),
            **({"queries": asdict(config.queries), "visibility_rule": made.visibility_rule} if kind.has_queries else {}),
            **made.facts,
            **({} if screen is None else {"screen": screen}),
            **({"cycle": True} if config.cycle else {}),
        },
        kind=kind.name,
        checkpoint=made.checkpoint,
        checkpoint_sha256=made.checkpoint_sha256,
        precision=made.precision,
        versions=dict(made.versions),
        license=made.license,
        parents=made.parents,
    )


def _known_kind(labeler: str, name: str) -> LabelKind:
    if name not in KINDS:
        raise ConfigError(f"labeler {labeler} makes labels of kind {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]


def _num_workers(config: LabelingConfig) -> int:
    return num_workers_for(config.executor, config.num_workers, num_cpus=config.num_cpus_per_worker, num_gpus=config.num_gpus_per_worker)
