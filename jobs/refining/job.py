"""jobs/refine.py without its command line: the label sets that are read, the set of cameras that is made, the shards that lack it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy
import torch

from jobs.evaluating.shard_results import digest
from jobs.execution.missing import shards_to_do
from jobs.execution.run import Executor
from jobs.execution.units import PoolConfig
from jobs.labeling.filling import Filled, fill_shards, num_workers_for
from jobs.labeling.shards import num_unexpected
from jobs.labeling.stage import LabelStage, LabelTotals
from jobs.refining.inputs import BY_AUDIT, STATIC, InputSets, StaticName
from jobs.refining.worker import RefinerSettings
from pipeline import storage
from pipeline.audit.stored.audit_set import read_audit_set
from pipeline.errors import ConfigError
from pipeline.labels import read_encoded_rows, read_label_set, write_label_set
from pipeline.layout import Layout
from pipeline.records import CameraLabels, DepthLabels, LabelSet, TrackLabels
from pipeline.shards.errors_table import ErrorRow, read_errors
from pipeline.shards.index import read_index
from pipeline.shards.plan import plan_uris
from pipeline.stream import StreamConfig
from pipeline.stream.audits import audit_command, audited_labels, label_sets_by_kind
from pipeline.stream.clip_arrays import is_withheld
from trainer.geometry.pose_refinement import RefinementSettings

_TAKEN = {TrackLabels.kind: "jobs/pseudolabel.py", DepthLabels.kind: "jobs/pseudolabel.py", CameraLabels.kind: "jobs/refine.py"}


@dataclass(frozen=True, kw_only=True, slots=True)
class RefiningConfig:
    """All that jobs/refine.py is asked for."""

    root: str
    labels: tuple[str, ...]  # label sets: one of tracks, one of depth, perhaps one of cameras
    refinement: RefinementSettings
    executor: Executor
    static: StaticName = "audit"
    static_share: float = 0.05  # of the depth: how far a static point may be displaced, where the gate is displacement
    audit: str | None = None  # None: the audit that is named as the tracks are, where the gate asks one
    num_workers: int | None = None  # None: as many as the cluster's CPUs allow
    num_cpus_per_worker: float = 1.0

    def __post_init__(self) -> None:
        if self.executor.name == "inline" and (self.num_workers or 1) > 1:
            raise ConfigError("--executor inline has one worker; use --executor ray for more")
        if self.static not in STATIC:
            raise ConfigError(f"--static is {self.static!r}, expected one of {', '.join(STATIC)}")
        if not self.static_share > 0:
            raise ConfigError(f"--static-share is {self.static_share}, expected above 0")
        self.pool(1 if self.num_workers is None else self.num_workers)

    def pool(self, num_workers: int) -> PoolConfig:
        """The pool with so many workers. Raises: ConfigError."""
        return PoolConfig(num_workers=num_workers, num_cpus=self.num_cpus_per_worker)


@dataclass(frozen=True, kw_only=True, slots=True)
class RefiningOutcome:
    """Outcome of the job."""

    label_set: str
    sets: InputSets
    totals: LabelTotals
    num_clips: int  # of the shards of this run
    num_shards: int
    already_done: int  # shards
    not_ready: int  # planned shards that are not cut, labelled and audited yet
    elapsed_s: float
    error_px: float | None  # median over the frames of this run's shards; None where none was measured
    metric_depth: bool  # the depth's set says that it is metric
    unexpected: tuple[ErrorRow, ...]


def refine_dataset(config: RefiningConfig, *, dry_run: bool) -> RefiningOutcome:
    """Refine what is labelled and not refined yet. One job at a time makes a label set: the later one waits.

    Raises: ConfigError; StorageError, once the other shards are done, if some could not be committed.
    """
    root = storage.absolute(config.root)
    if not plan_uris(root):
        raise ConfigError(f"{root} holds no plan; make it with jobs/shard.py first, or check --root")
    sets = input_sets(config, root)
    label_set = describe(config, sets)
    lock = None if dry_run else Layout(root).lock(f"labels/{label_set.name}")
    with storage.only_one(lock, f"the cameras {label_set.name} of {root}"):
        return _refine_missing(config, sets, label_set, dry_run=dry_run)


def input_sets(config: RefiningConfig, root: str) -> InputSets:
    """What is read, checked. Raises: ConfigError for sets that are not there, or do not make a refinement."""
    sets = label_sets_by_kind(root, config.labels)
    for kind, name in sets.items():
        if kind not in _TAKEN:
            raise ConfigError(f"label set {name} holds {kind}; poses are refined by {', '.join(_TAKEN)}: leave it away")
    for kind in (TrackLabels.kind, DepthLabels.kind):
        if kind not in sets:
            raise ConfigError(f"no label set of {kind} is among --labels; name one, or make it with {_TAKEN[kind]} --root {config.root}")
    depth = read_label_set(root, sets[DepthLabels.kind])
    if depth.configuration.get("depth_scale") == "inverse":
        raise ConfigError(
            f"label set {depth.name} holds inverse depth, known but for a factor and a summand: points cannot be lifted by it; name metric"
            " or relative depth, as transformers-depth makes it with a metric checkpoint, or pi3-depth"
        )
    tracks = sets[TrackLabels.kind]
    return InputSets(
        root=root,
        tracks=tracks,
        depth=depth.name,
        cameras=sets.get(CameraLabels.kind),
        audit=_audit(config, root, tracks),
        static=config.static,
    )


def describe(config: RefiningConfig, sets: InputSets) -> LabelSet:
    """The label set that is made: what it is made from and how. Where its workers compute is no part of it."""
    audit = None if sets.audit is None else {"name": sets.audit, "identity": digest(asdict(read_audit_set(sets.root, sets.audit)))}
    gate: dict[str, Any] = {"static": sets.static}
    if sets.static == "displacement":
        gate["static_share"] = config.static_share
    licenses = {read_label_set(sets.root, name).license for name in sets.label_sets} - {None}
    return LabelSet(
        labeler="refine",
        configuration={
            "tracks": sets.tracks,
            "depth": sets.depth,
            "cameras": sets.cameras or "the clips' own",
            "audit": audit,
            **gate,
            "refinement": asdict(config.refinement),
        },
        kind=CameraLabels.kind,
        precision="float64",
        versions={"numpy": np.__version__, "scipy": scipy.__version__, "torch": torch.__version__},
        license="; ".join(sorted(map(str, licenses))) or None,
    )


def _audit(config: RefiningConfig, root: str, tracks: str) -> str | None:
    """The audit that is read. Raises: ConfigError if the gate asks for one that is not there, or it judged other tracks."""
    name = config.audit or (tracks if config.static in BY_AUDIT else None)
    if name is None:
        return None
    if config.audit is None and not storage.exists(Layout(root).audit_json(name)):
        raise ConfigError(
            f"{root}: the tracks {tracks} have no audit of that name to tell which of them are static; run"
            f" {audit_command(root, tracks, tracks)}, name another with --audit, or choose another gate with --static"
        )
    audited_labels(root, name, tracks)
    return name


def _refine_missing(config: RefiningConfig, sets: InputSets, label_set: LabelSet, *, dry_run: bool) -> RefiningOutcome:
    layout, stage = Layout(sets.root), f"labels/{label_set.name}"
    needs = [layout.shards, *map(layout.label_set, sets.label_sets)] + ([] if sets.audit is None else [layout.audit(sets.audit)])
    todo = shards_to_do(sets.root, needs=needs, makes=layout.label_set(label_set.name), errors=stage)
    if sets.cameras is None and todo.ready:
        _check_own_cameras(sets.root, todo.ready)
    num_clips = todo.num_clips(todo.fresh) + num_unexpected(sets.root, label_set.name, todo.again)
    filled = Filled(totals=LabelTotals(), elapsed_s=0.0)
    if todo.missing and not dry_run:
        write_label_set(sets.root, label_set)
        settings = RefinerSettings(
            sets=sets,
            refinement=config.refinement,
            static_share=config.static_share,
            threads=max(1, int(config.num_cpus_per_worker)),
        )
        filled = fill_shards(
            LabelStage(settings=settings, label_set=label_set.name),
            config.executor,
            todo.missing,
            pool=lambda: config.pool(_num_workers(config)),
            num_clips=num_clips,
            doing="refining",
        )
    return RefiningOutcome(
        label_set=label_set.name,
        sets=sets,
        totals=filled.totals,
        num_clips=num_clips,
        num_shards=len(todo.missing),
        already_done=len(todo.done),
        not_ready=len(todo.not_ready),
        elapsed_s=filled.elapsed_s,
        error_px=None if dry_run else _median_error(sets.root, label_set.name, todo.missing),
        metric_depth=read_label_set(sets.root, sets.depth).configuration.get("depth_scale") == "metric",
        unexpected=tuple(row for row in read_errors(sets.root, stage) if row.unexpected),
    )


def _num_workers(config: RefiningConfig) -> int:
    return num_workers_for(config.executor, config.num_workers, num_cpus=config.num_cpus_per_worker, num_gpus=0.0)


def _check_own_cameras(root: str, shards: Sequence[int]) -> None:
    """Raise ConfigError if no clip of these shards has cameras of its own, other than truth that is for evaluation."""
    stream = StreamConfig(root=root)
    records = (entry.record for shard in shards for entry in read_index(root, shard) if entry.record is not None)
    if not any(record.pose_source is not None and not is_withheld(stream, record) for record in records):
        raise ConfigError(
            f"no clip of {root} has cameras of its own to start from (truth that is for evaluation does not count); name a label set of"
            " cameras with --labels"
        )


def _median_error(root: str, label_set: str, shards: Sequence[int]) -> float | None:
    columns = [read_encoded_rows(root, label_set, shard)["reprojection_px"].to_pylist() for shard in shards]
    errors = np.array([error for column in columns for row in column for error in row or ()], np.float64)
    errors = errors[~np.isnan(errors)]
    return float(np.median(errors)) if len(errors) else None
