"""jobs/pseudolabel.py without its command line: the label set, the shards that lack it, the executor."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jobs.console import ProgressLine
from jobs.execution.run import Executor
from jobs.labeling.run import LabelTotals, label_inline
from jobs.labeling.shards import shards_to_label
from jobs.labeling.worker import WorkerSettings
from labelers import QueryPolicy, make_labeler
from pipeline import storage
from pipeline.errors import ConfigError, StorageError
from pipeline.labels import write_label_set
from pipeline.layout import Layout
from pipeline.records import LabelSet
from pipeline.shards.plan import read_plan_counts


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

    def __post_init__(self) -> None:
        if self.executor.name == "inline" and (self.num_workers or 1) > 1:
            raise ConfigError("--executor inline has one worker; use --executor ray for more")
        if self.clips_per_batch < 1 or self.items_ahead < 0 or (self.num_workers is not None and self.num_workers < 1):
            raise ConfigError("--clips-per-batch and --num-workers must be at least 1, --items-ahead not negative")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelingOutcome:
    """What the job has to say at its end."""

    label_set: str
    totals: LabelTotals
    num_clips: int  # of the shards of this run
    num_shards: int
    already_done: int  # shards
    not_cut: int  # planned shards without a commit


def label_dataset(config: LabelingConfig, *, dry_run: bool) -> LabelingOutcome:
    """Label what is cut and not labelled yet.

    Raises: ConfigError; StorageError, once the other shards are done, if some could not be committed.
    """
    root = storage.absolute(config.root)
    if not storage.exists(Layout(root).plan):
        raise ConfigError(f"{root} holds no plan.parquet; make it with jobs/shard.py first, or check --root")
    label_set = describe(config)
    shards, not_cut = shards_to_label(root, label_set.name)
    counts = read_plan_counts(root)
    sizes = dict(zip(counts.shards.tolist(), counts.counts().tolist(), strict=True))
    num_clips, totals = sum(sizes[shard] for shard in shards), LabelTotals()
    if shards and not dry_run:
        write_label_set(root, label_set)
        with config.executor.session(), ProgressLine("labelling", num_clips, "clips") as progress:
            totals = _label(config, root, label_set.name, shards, progress)
    if totals.lost_shards:
        shard, reason = sorted(totals.lost_shards.items())[0]
        raise StorageError(
            f"labels of {len(totals.lost_shards)} of {len(shards)} shards were not committed; the first, {shard:06d}: {reason}"
        )
    return LabelingOutcome(
        label_set=label_set.name,
        totals=totals,
        num_clips=num_clips,
        num_shards=len(shards),
        already_done=len(sizes) - len(shards) - len(not_cut),
        not_cut=len(not_cut),
    )


def describe(config: LabelingConfig) -> LabelSet:
    """The label set that this configuration makes."""
    made = make_labeler(config.labeler, **config.labeler_options).provenance()
    return LabelSet(
        labeler=made.name,
        configuration={"options": dict(made.options), "queries": asdict(config.queries), "visibility_rule": made.visibility_rule},
        checkpoint=made.checkpoint,
        checkpoint_sha256=made.checkpoint_sha256,
        precision=made.precision,
        versions=dict(made.versions),
        license=made.license,
    )


def _label(config: LabelingConfig, root: str, label_set: str, shards: list[int], progress: ProgressLine) -> LabelTotals:
    settings = WorkerSettings(
        root=root,
        labeler=config.labeler,
        labeler_options=config.labeler_options,
        queries=config.queries,
        threads=max(1, int(config.num_cpus_per_worker)),
    )
    if config.executor.name == "inline":
        return label_inline(settings, label_set, shards, clips_per_batch=config.clips_per_batch, progress=progress)
    from jobs.execution.ray_session import num_cpus, num_gpus
    from jobs.labeling.actor import PoolConfig
    from jobs.labeling.pool import label_on_ray

    fit = (
        int(num_gpus() / config.num_gpus_per_worker)
        if config.num_gpus_per_worker
        else int(num_cpus() / max(config.num_cpus_per_worker, 1e-3))
    )
    if fit < 1 and config.num_workers is None:
        raise ConfigError(
            f"the cluster has {num_cpus()} CPUs and {num_gpus():g} GPUs: no worker fits; lower --num-cpus-per-worker or -gpus-"
        )
    pool = PoolConfig(
        num_workers=config.num_workers or fit,
        num_cpus=config.num_cpus_per_worker,
        num_gpus=config.num_gpus_per_worker,
        clips_per_batch=config.clips_per_batch,
        items_ahead=config.items_ahead,
        limits=config.executor.limits,
    )
    return label_on_ray(settings, label_set, shards, config=pool, progress=progress)
