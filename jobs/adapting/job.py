"""jobs/adapt.py without its command line: audited tracks, depth, training, inference, each by its own job and only as far as missing."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from jobs.adapting.config import UNMADE, AdaptConfig, Clips, Start, kept_weights, make_stage
from jobs.adapting.videos import InferredVideo, infer_videos
from jobs.devices import choose_device
from jobs.labeling.job import LabelingConfig, LabelingOutcome, describe, label_dataset
from jobs.running.chain import JudgedClips, RunOutcome, Steps, Tell, check_labeler, judge_clips, run_steps
from jobs.running.root_status import AuditProgress, read_audit_progress
from jobs.training import StepLine, check_stage
from labelers import QueryPolicy
from networks.weights import plan_start, read_weights
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.labels import read_label_set
from pipeline.layout import Layout, committed
from pipeline.records import DepthLabels
from pipeline.shards.plan import plan_uris, read_plan_columns
from pipeline.tables import read_document, read_table, write_document
from trainer.loop import TrainConfig, TrainOutcome, train
from trainer.loop.checkpoints import checkpoint_steps
from trainer.loop.step_report import ProcessRank

DOCUMENT = "adaptation.json"
_READERS = 8  # tables that are read at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapted:
    """Outcome of the training and of what follows."""

    stage: TrainConfig
    license: str | None  # of the weights that it began from, and so of those that it made
    depth: str | None  # label set; None: none was read
    depth_failed: int  # clips without depth, which are not learned from
    trained: TrainOutcome
    inferred: tuple[InferredVideo, ...]
    num_videos: int  # of the root, that could be inferred


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptOutcome:
    """Outcome of the job."""

    run: RunOutcome | None  # None: nothing was to be cut
    judged: JudgedClips | None  # None: no clip could be cut, or the audit was there
    audit: AuditProgress | None  # None: no clip could be cut
    adapted: Adapted | None  # None: the audit's gate, or that there is no clip, ended it before
    elapsed_s: float


def adapt(config: AdaptConfig, *, tell: Tell) -> AdaptOutcome:
    """Cut, screen, label and audit what is not yet; label depth; train on what the audit keeps; infer. The same configuration goes on.

    Raises: ConfigError for a checkpoint, a labeler or a configuration that cannot be used, before anything is cut; DataError, StorageError.
    """
    started = time.monotonic()
    start = check_adaptation(config)
    steps = Steps(config.num_steps, tell)
    run, judged, labelled = None, None, None
    with config.run.executor.session():
        if config.run.inputs:
            run = run_steps(config.run, steps)
            judged = run.judged
        elif config.audit is None:
            judged = judge_clips(config.run, steps)
        audit = _audit_of(config, judged) if run is None or judged is not None else None
        goes_on = audit is not None and (audit.passes or not config.gated)
        if goes_on and config.depth.labeler is not None:
            steps.begin(f"depth: labelling every frame with {config.depth.labeler}")
            labelled = label_dataset(depth_labelling(config), dry_run=False)
    adapted = None
    if audit is not None and goes_on:
        adapted = _train_and_infer(config, audit, labelled, start=start, steps=steps)
    return AdaptOutcome(run=run, judged=judged, audit=audit, adapted=adapted, elapsed_s=time.monotonic() - started)


def check_adaptation(config: AdaptConfig) -> Start:
    """The weights to adapt, once all that can be wrong before any label is made was tried.

    Raises: ConfigError for labelers that cannot be made or make something else, a root without clips, label sets that are not there, a
        stage that cannot be trained, and weights that do not fit it.
    """
    root = storage.absolute(config.run.root)
    if not config.run.inputs and not plan_uris(root):
        raise ConfigError(f"{root} holds no clips; name the VIDEO that it is to be made of, or check --root")
    if config.audit is None:
        check_labeler(config.run)
    else:
        _audit_of(config, None)
    if config.depth.labeler is not None:
        _expect_depth(describe(depth_labelling(config)).kind, f"--depth-labeler {config.depth.labeler} makes")
    if config.depth.label_set is not None:
        _expect_depth(read_label_set(root, config.depth.label_set).kind, f"--depth-labels {config.depth.label_set} holds")
    file = read_weights(config.checkpoint)
    start = Start.of(file)
    plan_start(check_stage(make_stage(config, UNMADE, start)), file)
    return start


def depth_labelling(config: AdaptConfig) -> LabelingConfig:
    """Configuration of the job that labels depth. Raises: ConfigError."""
    assert config.depth.labeler is not None, "asked for"
    run = config.run
    return LabelingConfig(
        root=run.root,
        labeler=config.depth.labeler,
        labeler_options=config.depth.options,
        queries=QueryPolicy(),
        executor=run.executor,
        num_workers=run.num_workers,
        num_gpus_per_worker=run.num_gpus_per_worker,
    )


def _expect_depth(kind: str, what: str) -> None:
    if kind != DepthLabels.kind:
        raise ConfigError(f"{what} {kind}, expected depth; give tracks by --labeler, or --audit")


def _audit_of(config: AdaptConfig, judged: JudgedClips | None) -> AuditProgress:
    """The audit to obey. Raises: ConfigError if the one that was named is not there, or not finished."""
    root = storage.absolute(config.run.root)
    name = config.audit if judged is None else judged.audited.plan.audit.name
    assert name is not None, "without a run there is a name"
    planned = read_plan_columns(root, ["shard"])["shard"].unique().to_pylist()
    found = read_audit_progress(root, name, planned)
    if found.passes is None:
        raise ConfigError(
            f"audit {name} of {root} is not finished; run jobs/audit.py run --root {root} --labels {found.audit.label_set} first"
        )
    return found


def _train_and_infer(config: AdaptConfig, audit: AuditProgress, labelled: LabelingOutcome | None, *, start: Start, steps: Steps) -> Adapted:
    depth = config.depth.label_set if labelled is None else labelled.label_set
    root = storage.absolute(config.run.root)
    stage = make_stage(config, Clips(audit=audit.audit.name, depth=depth, aspects=aspects_of(root)), start)
    _claim(config, stage, audit, depth)
    steps.begin(f"train: {stage.steps} steps on {audit.decisions.get('keep', 0)} clips, from {config.checkpoint}")
    with StepLine(stage) as line:
        trained = train(stage, ProcessRank(device=choose_device(config.device)), resume=True, on_step=line.tell)
    inferred: Sequence[InferredVideo] = ()
    num_videos = 0
    if config.infer_videos:
        steps.begin("infer: the videos, with the adapted weights")
        inferred, num_videos = infer_videos(config, trained.weights, kept_weights(config, stage))
    return Adapted(
        stage=stage,
        license=start.described.license,
        depth=depth,
        depth_failed=0 if labelled is None else labelled.totals.failed + labelled.totals.quarantined,
        trained=trained,
        inferred=tuple(inferred),
        num_videos=num_videos,
    )


def aspects_of(root: str) -> tuple[float, float]:
    """Least and most width / height of a root's clips: the shape in which a network is to see them whole."""

    def sizes(shard: int) -> list[dict[str, int | None]]:
        return read_table(Layout(root).shard_index(shard), "shard", ["width", "height"]).to_pylist()

    with ThreadPoolExecutor(max_workers=_READERS) as readers:
        rows = [row for found in readers.map(sizes, sorted(committed(Layout(root).shards))) for row in found]
    aspects = [row["width"] / row["height"] for row in rows if row["width"] and row["height"]]
    if not aspects:
        raise ConfigError(f"{root}: none of its clips has a video; errors/ below it says why")
    return min(aspects), max(aspects)


def _claim(config: AdaptConfig, stage: TrainConfig, audit: AuditProgress, depth: str | None) -> None:
    """Note what is adapted to what. Raises: ConfigError if a run that is there learned from other clips, as of a root that has grown."""
    uri = storage.join(storage.absolute(config.out), DOCUMENT)
    document: dict[str, Any] = {
        "checkpoint": {"source": _named(config.checkpoint), "sha256": stage.model.start_sha256},
        "audit": audit.audit.name,
        "depth_labels": depth,
        "clips": dict(audit.decisions),
    }
    if checkpoint_steps(config.out) and storage.exists(uri):
        before = read_document(uri, "adaptation").get("clips", {}).get("keep")
        now = document["clips"].get("keep")
        if before != now:
            raise ConfigError(
                f"{config.out} holds weights that were adapted to {before} clips of {config.run.root}, of which the audit now keeps {now}:"
                " the root has changed since. Adapt anew with another --out, or make clips of the new videos in a --root of their own"
            )
    write_document(uri, document, "adaptation")


def _named(source: str) -> str:
    """A source for documents, which hold no path of a machine."""
    return source if "://" in source else source.rsplit("/", 1)[-1]


def plan_adaptation(config: AdaptConfig) -> tuple[TrainConfig, str | None]:
    """The stage that would be trained, with names that are not known yet left open, and the licence of its weights. Raises as `adapt`."""
    start = check_adaptation(config)
    root = storage.absolute(config.run.root)
    clips = UNMADE if config.audit is None else Clips(audit=config.audit, depth=config.depth.label_set, aspects=aspects_of(root))
    return make_stage(config, clips, start), start.described.license
