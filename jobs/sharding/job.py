"""jobs/shard.py without its command line: probe, plan, then cut or register what is not there yet."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobs.console import ProgressLine
from jobs.execution.run import Executor
from jobs.sharding.stages import CutStage, ProbeStage, RegisterStage
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.layout import Layout, committed
from pipeline.manifest import Manifest, ManifestOptions, read_manifest
from pipeline.records import ClipSpec
from pipeline.shards.dataset import DatasetIdentity, claim_dataset
from pipeline.shards.errors_table import ErrorRow, read_errors, write_errors
from pipeline.shards.foreign import commit_registered, name_tars, plan_registered
from pipeline.shards.plan import PlannedClip, read_plan_counts, write_plan
from pipeline.shards.plan_summary import PlanSummary, summarise_plan
from pipeline.shards.planning import Planner, group_specs, sources_of
from pipeline.shards.policy import ClipPolicy
from pipeline.shards.probing import group_sources, read_probe_group

_SHOWN_ERRORS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardingConfig:
    """All that jobs/shard.py is asked for."""

    inputs: tuple[str, ...]
    root: str
    preset: str  # auto | webdataset | a manifest preset
    manifest: ManifestOptions
    policy: ClipPolicy
    executor: Executor


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardingOutcome:
    """What the job has to say at its end."""

    plan: PlanSummary
    num_errors: int  # manifest rows, sources, spans and clips that went wrong
    num_duplicates: int  # manifest rows that ask for a clip again; the first is kept, and they are no errors
    failed_clips: int  # planned clips among them
    first_errors: tuple[ErrorRow, ...]


def make_shards(config: ShardingConfig, *, dry_run: bool) -> ShardingOutcome:
    """Plan, then cut or register what is not there yet. A dry run keeps probe and plan: the real run starts from them.

    Raises: ConfigError for inputs or options that cannot be used; StorageError if something could not be committed.
    """
    root = storage.absolute(config.root)
    if config.preset == "webdataset":
        tars = _tars_of(config.inputs)
        with config.executor.session():
            register_and_plan(
                root, RegisterStage(root, name_tars(tars), config.policy.split_shares, config.manifest.license), config.executor
            )
        if not dry_run:
            for number in _uncommitted_shards(root):
                commit_registered(root, number)
    else:
        manifest = read_manifest(config.inputs, config.manifest)
        if not manifest.specs:
            raise ConfigError(f"no video to cut in {', '.join(config.inputs)}{_first_problem(manifest)}")
        with config.executor.session():
            probe_and_plan(root, manifest, config.policy, config.executor)
            if not dry_run:
                cut_shards(root, config.policy, config.executor)
    found = [row for stage in ("manifest", "plan", "shards") for row in read_errors(root, stage)]
    errors = [row for row in found if row.exception != "duplicate"]
    return ShardingOutcome(
        plan=summarise_plan(root, proven_by_packets=config.policy.snap == "key-frames"),
        num_errors=len(errors),
        num_duplicates=len(found) - len(errors),
        failed_clips=sum(row.stage == "shards" and bool(row.key) for row in errors),
        first_errors=tuple(errors[:_SHOWN_ERRORS]),
    )


def identity_of(specs: Sequence[ClipSpec], policy: ClipPolicy) -> DatasetIdentity:
    """The identity of a dataset cut from these manifest rows. Where the videos lie on this machine is no part of it."""
    digest = hashlib.sha256()
    for spec in sorted(specs, key=lambda spec: (spec.relative_uri, spec.start_s or 0, spec.start_frame or 0)):
        row = [
            spec.relative_uri,
            spec.source_id,
            spec.start_s,
            spec.end_s,
            spec.start_frame,
            spec.end_frame,
            spec.camera_uri is not None,
            spec.license,
            dict(spec.extra),
        ]
        digest.update(json.dumps(row, sort_keys=True, default=str).encode())
    return DatasetIdentity(kind="cut", inputs_sha256=digest.hexdigest(), policy=policy.document())


def probe_and_plan(root: str, manifest: Manifest, policy: ClipPolicy, executor: Executor) -> None:
    """Probe what is not probed yet, then write plan.parquet unless it is there."""
    claim_dataset(root, identity_of(manifest.specs, policy), (spec.license for spec in manifest.specs))
    layout = Layout(root)
    groups = group_sources(sources_of(manifest.specs))
    missing = sorted(set(range(len(groups))) - committed(storage.join(root, "probe")))
    with ProgressLine("probing", sum(len(groups[number]) for number in missing), "sources") as progress:
        executor.run(ProbeStage(root, groups, policy), missing, progress)
    if not storage.exists(layout.plan):
        planner = Planner(group_specs(manifest.specs), policy)
        probed = ((number, item) for number in range(len(groups)) for item in read_probe_group(root, number))
        clips = planner.plan(probed)
        rows = [
            ErrorRow(stage="manifest", key="", source=problem.manifest, exception=problem.kind, message=str(problem))
            for problem in manifest.problems
        ]
        write_errors(root, "manifest", 0, rows)
        write_plan(root, _with_errors_after(clips, root, planner))


def _with_errors_after(clips: Iterator[PlannedClip], root: str, planner: Planner) -> Iterator[PlannedClip]:
    """Pass the clips on, and publish what could not be planned before the plan itself is."""
    yield from clips
    write_errors(root, "plan", 0, planner.errors)


def register_and_plan(root: str, stage: RegisterStage, executor: Executor) -> None:
    """Scan tars that are not scanned yet, then write plan.parquet unless it is there."""
    digest = hashlib.sha256("\n".join(tar.name for tar in stage.tars).encode()).hexdigest()
    claim_dataset(
        root, DatasetIdentity(kind="registered", inputs_sha256=digest, policy={"split_shares": dict(stage.shares)}), [stage.license]
    )
    layout = Layout(root)
    missing = sorted(set(range(len(stage.tars))) - committed(storage.join(root, "probe")))
    with ProgressLine("scanning", len(missing), "tars") as progress:
        executor.run(stage, missing, progress)
    if not storage.exists(layout.plan):
        write_plan(root, (clip for number in range(len(stage.tars)) for clip in plan_registered(root, number)))


def cut_shards(root: str, policy: ClipPolicy, executor: Executor) -> None:
    """Cut every shard that is not committed yet."""
    counts = read_plan_counts(root)
    sizes = dict(zip(counts.shards.tolist(), counts.counts().tolist(), strict=True))
    missing = _uncommitted_shards(root)
    with ProgressLine("cutting", sum(sizes[shard] for shard in missing), "clips") as progress:
        executor.run(CutStage(root, policy, sizes), missing, progress)


def _uncommitted_shards(root: str) -> list[int]:
    return [int(shard) for shard in read_plan_counts(root).shards if not storage.exists(Layout(root).shard_index(int(shard)))]


def _first_problem(manifest: Manifest) -> str:
    return f"; {len(manifest.problems)} rows cannot be used, the first: {manifest.problems[0]}" if manifest.problems else ""


def _tars_of(inputs: Sequence[str]) -> tuple[str, ...]:
    """The tars that the inputs (files, folders, globs) name, in order. Raises ConfigError if there are none."""
    tars = tuple(uri for given in inputs for uri in _expanded(storage.absolute(given)))
    if not tars:
        raise ConfigError(f"no tar matches {', '.join(inputs)}; with --preset webdataset give tars or a glob of them")
    return tuple(dict.fromkeys(tars))


def _expanded(given: str) -> list[str]:
    if storage.is_directory(given):
        return [uri for uri in storage.list_files(given) if uri.endswith(".tar")]
    return [given] if storage.exists(given) else storage.glob(given)
