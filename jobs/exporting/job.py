"""jobs/export.py without its command line: choose the clips, write those that are not there yet, finish."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.console import ProgressLine
from jobs.evaluating.shard_results import digest, errors_of, made_from
from jobs.execution.missing import shards_to_do
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.exporting.stage import KIND, ExportStage
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.export.format import ExportFormat
from pipeline.export.placing import ExportFolder
from pipeline.labels import read_label_set
from pipeline.layout import Layout
from pipeline.records import FlowLabels
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.plan import plan_uris, read_plan_counts
from pipeline.stream import StreamConfig
from pipeline.stream.audits import announce_unjudged, with_audited_labels
from pipeline.tables import fingerprint, read_document, write_document

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportConfig:
    """All that jobs/export.py is asked for."""

    root: str
    out: str
    format: ExportFormat
    labels: tuple[str, ...] = ()  # label sets, one per kind; none: the truth of the clips
    audit: str | None = None  # its tracks are weighed, and only clips that it keeps are exported
    split: str | None = None  # train | val | test; None takes all
    limit: int | None = None  # at most so many clips of the plan (of the split), its first ones
    evaluation_truth: bool = False  # also export truth that is meant for evaluation
    executor: Executor = Executor(name="inline", limits=Limits())

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"--limit is {self.limit}, expected at least 1")
        root, out = storage.absolute(self.root).rstrip("/"), storage.absolute(self.out).rstrip("/")
        if f"{out}/".startswith(f"{root}/"):
            raise ConfigError(f"--out {self.out} lies in the dataset that is exported; name a folder outside of --root")

    @property
    def stream(self) -> StreamConfig:
        """Every clip once, whole, in plan order, at its stored size."""
        return StreamConfig(
            root=storage.absolute(self.root),
            labels=self.labels or None,
            audit=self.audit,
            split=self.split,
            num_frames=None,
            epochs=1,
            shuffle=False,
            evaluation_truth=self.evaluation_truth,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOutcome:
    """Outcome of an export: of this run and of those before it."""

    num_clips: int  # planned clips that were looked at
    exported: tuple[Mapping[str, Any], ...]  # documents of clips, in plan order
    left_out: Mapping[str, int]  # clips by reason
    refused: tuple[Mapping[str, str], ...]  # key, kind, message
    errors: tuple[ErrorRow, ...]
    num_waiting: int  # clips of shards that are not cut yet
    file: str | None  # what was made of all clips together
    dry_run: bool

    @property
    def licenses(self) -> dict[str, int]:
        """Exported clips by the licence of their source."""
        return dict(sorted(Counter(clip.get("license") or "unknown" for clip in self.exported).items()))


def export(config: ExportConfig, *, dry_run: bool = False) -> ExportOutcome:
    """Write every clip that can be exported and is not there yet; a dry run only counts them, without reading a video.

    Raises: ConfigError for a root, label set or audit that is not there, a folder that holds another export, or if no clip can be
        exported; StorageError, once the other shards are done, if some could not be committed.
    """
    if not plan_uris(storage.absolute(config.root)):
        raise ConfigError(
            f"{config.root} holds no plan; make it with jobs/shard.py, jobs/convert.py or jobs/synthesize.py, or check --root"
        )
    stream = with_audited_labels(config.stream)
    _check_kinds(stream)
    folder = ExportFolder(storage.absolute(config.out), config.format.in_folders)
    identity = _identity(config, stream)
    taken, num_waiting = _taken(config, stream)
    stage = ExportStage(
        stream=stream,
        format=config.format,
        folder=folder,
        taken=taken,
        made_from=_made_from(stream, taken),
        settings=digest(identity),
    )
    if dry_run:
        return _outcome([stage.survey(shard).document() for shard in taken], num_waiting=num_waiting, file=None, dry_run=True)
    announce_unjudged(stream)
    with storage.only_one(folder.lock, f"the export {folder.uri}"), config.executor.session():
        _claim(folder, identity)
        documents = _run(config, stage)
        outcome = _outcome(documents, num_waiting=num_waiting, file=None, dry_run=False)
        file = config.format.finish(folder.uri, [clip["place"] for clip in outcome.exported])
    for row in outcome.errors:
        _LOG.warning("left out: %s", row.message)
    if not outcome.exported and not outcome.errors:
        raise ConfigError(_nothing_exported(outcome))
    return _outcome(documents, num_waiting=num_waiting, file=file, dry_run=False)


def _check_kinds(stream: StreamConfig) -> None:
    """Raise ConfigError for labels that no format has a place for."""
    for name in stream.label_sets:
        if read_label_set(stream.root, name).kind == FlowLabels.kind:
            raise ConfigError(f"label set {name} holds flow, and no format of export has a place for it; leave it away")


def _taken(config: ExportConfig, stream: StreamConfig) -> tuple[dict[int, int], int]:
    """How many clips of each cut shard are looked at, and how many are planned in shards that are not cut yet."""
    plan = read_plan_counts(stream.root)
    cut = {*shards_to_do(stream.root, needs=Layout(stream.root).shards, makes=None).ready}
    left = config.limit
    taken: dict[int, int] = {}
    num_waiting = 0
    for shard, count in zip(plan.shards.tolist(), plan.counts(stream.split).tolist(), strict=True):
        count = count if left is None else min(count, left)
        left = None if left is None else left - count
        if count and shard in cut:
            taken[shard] = count
        elif count:
            num_waiting += count
    return taken, num_waiting


def _made_from(stream: StreamConfig, taken: Mapping[int, int]) -> dict[int, str]:
    audit = stream.audit
    audits = {shard: None if audit is None else fingerprint(Layout(stream.root).audit_shard(audit, shard)) for shard in taken}
    return made_from(stream.root, [*taken], stream.label_sets, audit=audits, taken=dict(taken))


def _run(config: ExportConfig, stage: ExportStage) -> list[dict[str, Any]]:
    """Documents of all shards, in order: of those that are as they should be, and of those that are made now."""
    stage.folder.sweep()
    kept = {}
    for shard, uri in stage.folder.shards().items():
        document = read_document(uri, KIND)
        if document["made_from"] == stage.made_from.get(shard) and not any(row.unexpected for row in errors_of(document)):
            kept[shard] = document
    missing = [shard for shard in stage.taken if shard not in kept]
    with ProgressLine("exporting", sum(stage.taken[shard] for shard in missing), "clips") as progress:
        made = config.executor.run(stage, missing, progress).results
    stage.folder.sweep()
    return [document for _, document in sorted({**kept, **made}.items())]


def _identity(config: ExportConfig, stream: StreamConfig) -> dict[str, Any]:
    """What is exported and how, in JSON types; `limit` is no part of it: a later run may raise it."""
    return {
        "format": config.format.name,
        "settings": config.format.settings,
        "labels": list(stream.label_sets),
        "audit": stream.audit,
        "split": stream.split,
        "evaluation_truth": stream.evaluation_truth,
    }


def _claim(folder: ExportFolder, identity: Mapping[str, Any]) -> None:
    """Write export.json, or check that the one that is there says the same; one under which no clip was exported is replaced.

    Raises: ConfigError naming what differs.
    """
    if storage.exists(folder.identity):
        found = read_document(folder.identity, "export")
        differing = [name for name, value in identity.items() if found.get(name) != value]
        if not differing:
            return
        documents = folder.shards().values()
        if any(read_document(uri, KIND)["exported"] for uri in documents):
            changes = "; ".join(f"{name}: {found.get(name)} there, {identity[name]} now" for name in differing)
            raise ConfigError(f"{folder.uri} holds another export ({changes}); name another --out, or give the same options")
        for uri in documents:
            storage.remove(uri)
    write_document(folder.identity, dict(identity), "export")


def _outcome(documents: Sequence[Mapping[str, Any]], *, num_waiting: int, file: str | None, dry_run: bool) -> ExportOutcome:
    left_out = sum((Counter(document["left_out"]) for document in documents), Counter[str]())
    return ExportOutcome(
        num_clips=sum(document["num_clips"] for document in documents),
        exported=tuple(clip for document in documents for clip in document["exported"]),
        left_out=dict(sorted(left_out.items())),
        refused=tuple(refusal for document in documents for refusal in document["refused"]),
        errors=tuple(row for document in documents for row in errors_of(document)),
        num_waiting=num_waiting,
        file=file,
        dry_run=dry_run,
    )


def refused_by_kind(outcome: ExportOutcome) -> dict[str, int]:
    """Refused clips by reason."""
    return dict(sorted(Counter(refusal["kind"] for refusal in outcome.refused).items()))


def _nothing_exported(outcome: ExportOutcome) -> str:
    reasons = [f"{count} {reason}" for reason, count in (*outcome.left_out.items(), *refused_by_kind(outcome).items())]
    first = f"; the first that was refused, {outcome.refused[0]['key']}: {outcome.refused[0]['message']}" if outcome.refused else ""
    return f"none of the {outcome.num_clips} clips can be exported ({', '.join(reasons) or 'there is none'}){first}"
