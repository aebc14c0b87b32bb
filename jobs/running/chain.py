"""jobs/run.py without its command line: the jobs from videos to audited tracks, one after the other, and a contact sheet."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from jobs.auditing.run_job import AuditingOutcome, audit_labels
from jobs.auditing.run_plan import AuditingConfig
from jobs.auditing.screen_job import ScreeningConfig, ScreeningOutcome, screen_dataset
from jobs.execution.run import Executor
from jobs.labeling.job import LabelingConfig, describe, label_dataset
from jobs.sharding.job import ShardingConfig, ShardingOutcome, make_shards
from jobs.showing.clips import Shown
from jobs.showing.pictures import draw_sheet
from labelers import QueryPolicy
from pipeline import storage
from pipeline.audit.summing.records import AuditSummary, GateResult
from pipeline.audit.verdict import ScreenRules
from pipeline.drawing import IMAGE_SUFFIXES, write_image
from pipeline.errors import ConfigError
from pipeline.layout import Layout
from pipeline.manifest import ManifestOptions
from pipeline.records import TrackLabels
from pipeline.shards.policy import ClipPolicy

SHEET = "contact_sheet.webp"
_SHEET_CLIPS = 12
Tell = Callable[[str], None]  # one line on what happens now, or has happened


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """All that jobs/run.py is asked for; what is not named here has the defaults of the single jobs."""

    inputs: tuple[str, ...]
    root: str
    executor: Executor
    policy: ClipPolicy = field(default_factory=ClipPolicy)
    manifest: ManifestOptions = field(default_factory=ManifestOptions)
    rules: ScreenRules = ScreenRules()
    labeler: str = "dis-flow"
    labeler_options: Mapping[str, Any] = field(default_factory=dict)
    queries: QueryPolicy = QueryPolicy()
    cycle: bool = False  # follow every track back, for the audit
    num_workers: int | None = None  # labelers at work; None: as many as there is room for
    num_gpus_per_worker: float = 0.0
    sheet: str | None = None  # file of the contact sheet; None: beside the audit's report

    def __post_init__(self) -> None:
        if self.sheet is not None and PurePosixPath(self.sheet).suffix.lower() not in IMAGE_SUFFIXES:
            raise ConfigError(f"--out is {self.sheet!r}, expected a file of the contact sheet: {', '.join(IMAGE_SUFFIXES)}")

    @property
    def sharding(self) -> ShardingConfig:
        """Configuration of the first job."""
        return ShardingConfig(
            inputs=self.inputs, root=self.root, preset="auto", manifest=self.manifest, policy=self.policy, executor=self.executor
        )

    @property
    def labeling(self) -> LabelingConfig:
        """Configuration of the third job. Raises: ConfigError."""
        return LabelingConfig(
            root=self.root,
            labeler=self.labeler,
            labeler_options=self.labeler_options,
            queries=self.queries,
            executor=self.executor,
            num_workers=self.num_workers,
            num_gpus_per_worker=self.num_gpus_per_worker,
            cycle=self.cycle,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedClips:
    """Outcomes of the jobs after the cutting."""

    screened: ScreeningOutcome
    label_set: str
    audited: AuditingOutcome
    summary: AuditSummary
    gate: GateResult
    sheet: str  # where the contact sheet lies


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """Outcome of a run."""

    cut: ShardingOutcome
    judged: JudgedClips | None  # None: no clip could be cut
    elapsed_s: float


def run_jobs(config: RunConfig, *, tell: Tell) -> RunOutcome:
    """Shard, screen, label, audit, draw a contact sheet. Each job goes on where it was stopped: the same configuration continues.

    Raises: ConfigError, for the labeler's options before anything is cut; StorageError if something could not be committed.
    """
    started = time.monotonic()
    kind = describe(config.labeling).kind
    if kind != TrackLabels.kind:
        raise ConfigError(f"labeler {config.labeler} makes {kind}, and the audit judges tracks; use jobs/shard.py and jobs/pseudolabel.py")
    root = storage.absolute(config.root)
    with config.executor.session():
        tell("1/5 cut: finding videos, cutting them into clips")
        cut = make_shards(config.sharding, dry_run=False)
        if cut.plan.clips == cut.failed_clips:
            return RunOutcome(cut=cut, judged=None, elapsed_s=time.monotonic() - started)
        judged = _judge(config, root, tell)
    return RunOutcome(cut=cut, judged=judged, elapsed_s=time.monotonic() - started)


def _judge(config: RunConfig, root: str, tell: Tell) -> JudgedClips:
    """All that follows the cutting."""
    tell("2/5 screen: leaving out clips that show nothing to follow")
    screened = screen_dataset(ScreeningConfig(root=root, executor=config.executor, rules=config.rules), dry_run=False)
    tell(f"3/5 label: following {config.queries.num_queries} points per clip with {config.labeler}")
    label_set = label_dataset(config.labeling, dry_run=False).label_set
    tell(f"4/5 audit: judging the tracks of {label_set}")
    audited = audit_labels(AuditingConfig(root=root, label_set=label_set, executor=config.executor), dry_run=False)
    tell("5/5 contact sheet")
    audit = audited.plan.audit.name
    sheet = storage.absolute(config.sheet or Layout(root).audit_report(audit, SHEET))
    write_image(sheet, draw_sheet(Shown(root=root, label_set=label_set, audit=audit), None, _SHEET_CLIPS))
    assert audited.summary is not None
    assert audited.gate is not None
    return JudgedClips(screened=screened, label_set=label_set, audited=audited, summary=audited.summary, gate=audited.gate, sheet=sheet)
