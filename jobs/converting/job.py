"""jobs/convert.py without its command line: list, plan, then convert what is not there yet. jobs/synthesize.py runs it too."""

from dataclasses import dataclass

from jobs.console import ProgressLine
from jobs.converting.stage import ConvertStage
from jobs.execution.missing import shards_to_do
from jobs.execution.run import Executor
from pipeline import storage
from pipeline.datasets.check_tables import CheckSummary, write_check_summary
from pipeline.datasets.converting import ConversionEstimate, estimate_clip
from pipeline.datasets.planning import ConversionPolicy, identity_of, plan_sequences
from pipeline.datasets.source import SequenceInfo, TruthSource
from pipeline.errors import ConfigError
from pipeline.layout import Layout
from pipeline.shards.dataset import claim_dataset, state_licenses
from pipeline.shards.errors_table import ErrorRow, read_errors, write_errors
from pipeline.shards.plan import plan_uris, write_plan
from pipeline.shards.plan_summary import PlanSummary, summarise_plan

_SHOWN_ERRORS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertingConfig:
    """All that a conversion is asked for, besides its source."""

    root: str
    executor: Executor
    policy: ConversionPolicy = ConversionPolicy()
    doing: str = "converting"  # in the line of progress


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertingOutcome:
    """Outcome of the job."""

    dataset: str
    license: str | None
    evaluation: bool  # an evaluation set: its image files are stored
    plan: PlanSummary
    num_errors: int  # sequences that could not be planned, and clips that could not be converted
    failed_clips: int  # planned clips among them
    first_errors: tuple[ErrorRow, ...]
    checks: tuple[CheckSummary, ...]  # of all clips converted so far
    unexpected: tuple[ErrorRow, ...]  # those that nobody foresaw
    estimate: ConversionEstimate | None  # of a dry run: from one clip, converted and forgotten


def convert(source: TruthSource, config: ConvertingConfig, *, dry_run: bool) -> ConvertingOutcome:
    """Plan, then convert every shard that is not committed. A dry run keeps the plan, and tries one clip for its estimate.

    Raises: ConfigError for a source or options that cannot be used; StorageError if something could not be committed.
    """
    root = storage.absolute(config.root)
    if source.keep_images and config.policy.long_side is not None:
        raise ConfigError(f"{source.name} is an evaluation set: its own image files are stored as they are; leave --long-side out")
    sequences = tuple(source.sequences())
    if not sequences:
        raise ConfigError(f"{source.name}: no sequence found; check the folder")
    with storage.only_one(Layout(root).lock("shard"), f"the shards of {root}"), config.executor.session():
        _plan(root, source, sequences, config.policy)
        estimate = estimate_clip(root, source, config.policy) if dry_run else None
        if not dry_run:
            _convert_shards(root, source, config)
    errors = [row for stage in ("plan", "shards") for row in read_errors(root, stage)]
    return ConvertingOutcome(
        dataset=source.name,
        license=source.license,
        evaluation=source.keep_images,
        plan=summarise_plan(root),
        num_errors=len(errors),
        failed_clips=sum(row.stage == "shards" for row in errors),
        first_errors=tuple(errors[:_SHOWN_ERRORS]),
        checks=() if dry_run else write_check_summary(root),
        unexpected=tuple(row for row in errors if row.unexpected),
        estimate=estimate,
    )


def _plan(root: str, source: TruthSource, sequences: tuple[SequenceInfo, ...], policy: ConversionPolicy) -> None:
    """Claim the root, and write the plan unless it is there."""
    claim_dataset(root, identity_of(source.name, sequences, policy))
    if not plan_uris(root):
        planned = plan_sequences(source, sequences, policy)
        write_errors(root, "plan", 0, planned.errors)
        write_plan(root, iter(planned.clips))
        state_licenses(root)


def _convert_shards(root: str, source: TruthSource, config: ConvertingConfig) -> None:
    todo = shards_to_do(root, makes=Layout(root).shards)
    with ProgressLine(config.doing, todo.num_clips(todo.missing), "clips") as progress:
        config.executor.run(ConvertStage(root, source, config.policy, todo.sizes), todo.missing, progress)
