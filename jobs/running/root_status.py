"""The state of a dataset, read from its tables and documents alone: no video byte is touched."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from jobs.auditing.screen_job import screen_totals
from jobs.sharding.retrying import standing_errors
from pipeline import storage
from pipeline.audit.stored.audit_set import AuditSet, list_audits, read_audit_set
from pipeline.audit.summing.documents import SUMMARY
from pipeline.errors import ConfigError
from pipeline.labels import labelled_shards, list_label_sets, read_label_set
from pipeline.layout import Layout, committed
from pipeline.records import LabelSet
from pipeline.shards.errors_table import read_errors
from pipeline.shards.plan import plan_uris, read_plan_columns
from pipeline.shards.plan_summary import PlanSummary, summarise_plan
from pipeline.shards.take_downs import read_planned_names
from pipeline.shards.tombstones import read_tombstones
from pipeline.tables import read_document, read_table

_READERS = 8  # tables that are read at a time: on an object store each costs a round trip or two
Read = TypeVar("Read")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelProgress:
    """How far a label set is."""

    label_set: LabelSet
    shards: frozenset[int]  # that are labelled
    statuses: Mapping[str, int]  # of their clips: ok, screened, failed, quarantined


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditProgress:
    """How far an audit is, and what it says of the clips."""

    audit: AuditSet
    shards: frozenset[int]  # that are audited
    decisions: Mapping[str, int] = field(default_factory=dict)  # of all clips; empty until the audit has been summed up
    num_tracks: int = 0
    weight_sum: float = 0.0
    passes: bool | None = None  # the gate; None until then


@dataclass(frozen=True, kw_only=True, slots=True)
class RootStatus:
    """State of a dataset."""

    root: str
    dataset: Mapping[str, Any]  # dataset.json
    plan: PlanSummary | None  # None: nothing is planned yet
    shards: frozenset[int] = frozenset()  # that are planned
    cut: frozenset[int] = frozenset()  # that are committed
    clips_cut: int = 0  # that have a video
    stores_images: bool = False  # all of them are image files, as those of evaluation sets are
    screened: frozenset[int] | None = None  # shards; None: there is no screen
    screen_decisions: Mapping[str, int] = field(default_factory=dict)
    labels: tuple[LabelProgress, ...] = ()
    audits: tuple[AuditProgress, ...] = ()
    errors: Mapping[str, int] = field(default_factory=dict)  # stage -> rows that stand
    forgotten: int = 0  # clips that tombstones cover


def read_status(given: str) -> RootStatus:
    """Look at a dataset.

    Raises: ConfigError if there is none; StorageError, DataError for a file that cannot be read.
    """
    root = storage.absolute(given)
    layout = Layout(root)
    if not storage.exists(layout.dataset):
        there = "is a folder of something else: it has no dataset.json" if storage.is_directory(root) else "does not exist"
        raise ConfigError(f"{root} {there}; give the --root of a job, or begin one with jobs/run.py VIDEOS --root {root}")
    dataset = read_document(layout.dataset, "dataset")
    if not plan_uris(root):
        return RootStatus(root=root, dataset=dataset, plan=None, errors=_errors(root, (), ()))
    planned = frozenset(read_plan_columns(root, ["shard"])["shard"].unique().to_pylist())
    cut = frozenset(planned & committed(layout.shards))
    screened = frozenset(planned & committed(layout.screen)) if storage.exists(layout.screen_rules) else None
    label_sets, audits = list_label_sets(root), list_audits(root)
    modes = _video_modes(root, cut)
    return RootStatus(
        root=root,
        dataset=dataset,
        plan=summarise_plan(root),
        shards=planned,
        cut=cut,
        clips_cut=len(modes),
        stores_images={*modes.values()} == {"images"},
        screened=screened,
        screen_decisions=screen_totals(root, sorted(screened)).decisions if screened else {},
        labels=tuple(read_label_progress(root, name, planned) for name in label_sets),
        audits=tuple(read_audit_progress(root, name, planned) for name in audits),
        errors=_errors(root, label_sets, audits),
        forgotten=_forgotten(root),
    )


def read_label_progress(root: str, name: str, planned: Collection[int]) -> LabelProgress:
    """How far a label set is, on the shards of the plan."""
    shards = frozenset({*planned} & {*labelled_shards(root, name)})

    def statuses(shard: int) -> Counter[str]:
        return Counter(read_table(Layout(root).label_shard(name, shard), "labels", ["status"])["status"].to_pylist())

    return LabelProgress(label_set=read_label_set(root, name), shards=shards, statuses=sum(_each(statuses, shards), Counter[str]()))


def read_audit_progress(root: str, name: str, planned: Collection[int]) -> AuditProgress:
    """How far an audit is, and what its summary says where it has one."""
    audit, shards = read_audit_set(root, name), frozenset({*planned} & committed(Layout(root).audit(name)))
    uri = Layout(root).audit_report(name, SUMMARY)
    if not storage.exists(uri):
        return AuditProgress(audit=audit, shards=shards)
    document = read_document(uri, "audit_summary")
    summary = document["summary"]
    return AuditProgress(
        audit=audit,
        shards=shards,
        decisions=summary["decisions"],
        num_tracks=summary["num_tracks"],
        weight_sum=summary["weight_sum"],
        passes=document["gate"]["passes"],
    )


def _each(read: Callable[[int], Read], shards: Iterable[int]) -> list[Read]:
    with ThreadPoolExecutor(max_workers=_READERS) as readers:
        return list(readers.map(read, sorted(shards)))


def _video_modes(root: str, shards: Collection[int]) -> dict[str, str]:
    """How clips are stored, by key; one that was tried again under its key counts once, one without a video not at all."""

    def modes(shard: int) -> dict[str, str]:
        rows = read_table(Layout(root).shard_index(shard), "shard", ["key", "status", "video"]).to_pylist()
        return {row["key"]: row["video"] for row in rows if row["status"] == "ok"}

    return {key: mode for found in _each(modes, shards) for key, mode in found.items()}


def _errors(root: str, label_sets: Iterable[str], audits: Iterable[str]) -> dict[str, int]:
    """Rows by stage: of sources and clips those that still stand."""
    found = Counter(row.stage for row in standing_errors(root, ()))
    for stage in ("screen", *(f"labels/{name}" for name in label_sets), *(f"audit/{name}" for name in audits)):
        found[stage] += len(read_errors(root, stage))
    return {stage: count for stage, count in found.items() if count}


def _forgotten(root: str) -> int:
    tombstones = read_tombstones(root)
    return read_planned_names(root).covered(tombstones).keys if tombstones.keys or tombstones.source_ids else 0
