"""jobs/shard.py without its command line: find what is new, plan it, then cut or register what is not there yet."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobs.console import ProgressLine
from jobs.execution.missing import shards_to_do
from jobs.execution.run import Executor
from jobs.sharding.growing import Asked, Growth, grow, read_state
from jobs.sharding.presence import read_inputs
from jobs.sharding.registering import register
from jobs.sharding.retrying import standing_errors
from jobs.sharding.stages import CutStage, RegisterStage
from pipeline import storage
from pipeline.errors import AlreadyThereError, ConfigError
from pipeline.layout import Layout
from pipeline.manifest import Manifest, ManifestOptions
from pipeline.shards.compressed_tar import is_tar_name
from pipeline.shards.dataset import DatasetIdentity, check_dataset, claim_dataset, state_licenses
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.foreign import commit_registered
from pipeline.shards.plan import plan_uris
from pipeline.shards.plan_summary import PlanSummary, summarise_clips, summarise_plan
from pipeline.shards.policy import ClipPolicy
from pipeline.shards.source_roots import SourceRoots, read_source_roots, write_source_roots

_LOG = logging.getLogger(__name__)
_SHOWN_ERRORS = 20
_PLANNINGS = 5  # a part that another job published first is read, and the rest planned again


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardingConfig:
    """All that jobs/shard.py is asked for."""

    inputs: tuple[str, ...]
    root: str
    preset: str  # auto | webdataset | a manifest preset
    manifest: ManifestOptions
    policy: ClipPolicy
    executor: Executor
    source_roots: Mapping[str, str] = field(default_factory=dict)  # id -> where the folder is now
    retry_errors: bool = False
    decompress: bool = False  # unpack compressed tars below the root

    @property
    def registers(self) -> bool:
        """Whether the inputs are tars that others wrote."""
        return self.preset == "webdataset"

    @property
    def identity(self) -> DatasetIdentity:
        """Options that a dataset must have been made with for this run to add to it."""
        if self.registers:
            return DatasetIdentity(kind="registered", policy={"split_shares": dict(self.policy.split_shares)})
        return DatasetIdentity(kind="cut", policy=self.policy.document(), defaults=ClipPolicy().document())


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardingOutcome:
    """Outcome of the job."""

    plan: PlanSummary  # of the whole root
    added: PlanSummary  # by this run
    num_errors: int  # manifest rows, sources, spans and clips that went wrong
    num_duplicates: int  # manifest rows that ask for a clip again; the first is kept, and they are no errors
    failed_clips: int  # planned clips among them
    first_errors: tuple[ErrorRow, ...]
    unexpected: tuple[ErrorRow, ...] = ()  # of the errors: those that nobody foresaw


def make_shards(config: ShardingConfig, *, dry_run: bool) -> ShardingOutcome:
    """Add what is new among the inputs to the root, and cut or register what is not there yet. A dry run publishes nothing.

    One job at a time works on the shards of a root: the later one waits, and then goes on from what the first one left.
    Raises: ConfigError for inputs or options that cannot be used; StorageError if something could not be committed.
    """
    root = storage.absolute(config.root)
    check_dataset(root, config.identity)
    if dry_run:
        with config.executor.session():
            return _outcome(root, _add(root, config, publish=False), dry_run=True)
    with storage.only_one(Layout(root).lock("shard"), f"the shards of {root}"), config.executor.session():
        growth = _add(root, config, publish=True)
        state_licenses(root)
        if config.registers:
            for number in shards_to_do(root, makes=Layout(root).shards).missing:
                commit_registered(root, number)
        else:
            cut_shards(root, config.policy, config.executor)
    return _outcome(root, growth, dry_run=False)


def _add(root: str, config: ShardingConfig, *, publish: bool) -> Growth:
    """Plan what is new, and publish that part of the plan. Whoever is second plans again what the first one left."""
    for _ in range(_PLANNINGS):
        try:
            return _registered(root, config, publish) if config.registers else _planned(root, config, publish)
        except AlreadyThereError as error:
            _LOG.warning("another job added to this root just now (%s); planning again", error)
    raise AlreadyThereError(f"{root}: other jobs add to it all the time; run the same command again when they are done")


def _planned(root: str, config: ShardingConfig, publish: bool) -> Growth:
    state = read_state(root, read_source_roots(root).moved(config.source_roots))
    manifest = read_inputs(config.inputs, config.manifest, state.names)
    if not manifest.specs and not state.known:
        raise ConfigError(f"no video to cut in {', '.join(config.inputs)}{_first_problem(manifest)}")
    cameras = (spec.camera_uri for spec in manifest.specs if spec.camera_uri is not None)
    roots = state.roots.with_room_for([*(spec.source_uri for spec in manifest.specs), *cameras])
    if publish:
        _claim(root, config, roots)
    return grow(state.placed(roots), manifest, config.policy, executor=config.executor, asked=Asked(publish, config.retry_errors))


def _registered(root: str, config: ShardingConfig, publish: bool) -> Growth:
    if config.retry_errors:
        raise ConfigError("--retry-errors: samples of registered tars are what their tars hold; mend the tar under a new name, and add it")
    tars = _tars_of(config.inputs)
    roots = read_source_roots(root).moved(config.source_roots).with_room_for(tars)
    below = root if config.decompress else None
    stage = RegisterStage(root, {}, config.policy.split_shares, config.manifest.license, below)
    if publish:
        _claim(root, config, roots)
        clips = register(root, tars, roots=roots, stage=stage, executor=config.executor, publish=True)
    else:
        with tempfile.TemporaryDirectory(prefix="trackmill-") as scratch:
            inline = Executor(name="inline", limits=config.executor.limits)  # the scratch folder is this machine's
            stage = replace(stage, root=scratch, unpack_below=scratch if config.decompress else None)
            clips = register(root, tars, roots=roots, stage=stage, executor=inline, publish=False)
    return Growth(clips=tuple(clips), errors=(), num_duplicates=0)


def _claim(root: str, config: ShardingConfig, roots: SourceRoots) -> None:
    claim_dataset(root, config.identity)
    write_source_roots(root, roots)


def cut_shards(root: str, policy: ClipPolicy, executor: Executor) -> None:
    """Cut every shard that is not committed yet."""
    todo = shards_to_do(root, makes=Layout(root).shards)
    with ProgressLine("cutting", todo.num_clips(todo.missing), "clips") as progress:
        executor.run(CutStage(root, policy, todo.sizes), todo.missing, progress)


def _outcome(root: str, growth: Growth, *, dry_run: bool) -> ShardingOutcome:
    added = summarise_clips(growth.clips)
    found = [*growth.errors] if dry_run and not plan_uris(root) else standing_errors(root, growth.errors)
    errors = [row for row in found if row.exception != "duplicate"]
    return ShardingOutcome(
        plan=added if dry_run else summarise_plan(root),
        added=added,
        num_errors=len(errors),
        num_duplicates=growth.num_duplicates,
        failed_clips=sum(row.stage == "shards" and bool(row.key) for row in errors),
        first_errors=tuple(errors[:_SHOWN_ERRORS]),
        unexpected=tuple(row for row in errors if row.unexpected),
    )


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
        return [uri for uri in storage.list_files(given) if is_tar_name(uri)]
    return [given] if storage.exists(given) else storage.glob(given)
