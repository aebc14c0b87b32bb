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
from pipeline.labels import is_kind
from pipeline.layout import Layout
from pipeline.manifest import ManifestOptions
from pipeline.records import TrackLabels
from pipeline.shards.policy import ClipPolicy

SHEET = "contact_sheet.webp"
_SHEET_CLIPS = 12
CUTTING, JUDGING = 1, 4  # steps of a run: to clips, and from there to the contact sheet
Tell = Callable[[str], None]  # one line on what happens now, or has happened


class Steps:
    """Steps of a chain of jobs: each is said with its number as it begins."""

    def __init__(self, total: int, tell: Tell) -> None:
        self._total, self._tell, self._begun = total, tell, 0

    def begin(self, step: str) -> None:
        """Say a step, such as "cut: finding videos", that begins now."""
        self._begun += 1
        self._tell(f"{self._begun}/{self._total} {step}")


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
    return run_steps(config, Steps(CUTTING + JUDGING, tell))


def run_steps(config: RunConfig, steps: Steps) -> RunOutcome:
    """`run_jobs` as the first CUTTING + JUDGING steps of a longer chain."""
    started = time.monotonic()
    check_labeler(config)
    with config.executor.session():
        steps.begin("cut: finding videos, cutting them into clips")
        cut = make_shards(config.sharding, dry_run=False)
        judged = None if cut.plan.clips == cut.failed_clips else judge_clips(config, steps)
    return RunOutcome(cut=cut, judged=judged, elapsed_s=time.monotonic() - started)


def check_labeler(config: RunConfig) -> str:
    """Name of the labeler, as its labels record it. Raises: ConfigError for one that cannot be made as asked, or follows no points."""
    described = describe(config.labeling)
    if not is_kind(described.kind, TrackLabels.kind):
        raise ConfigError(
            f"labeler {config.labeler} makes {described.kind}, and the audit judges tracks; use jobs/shard.py and jobs/pseudolabel.py"
        )
    return described.labeler


def judge_clips(config: RunConfig, steps: Steps) -> JudgedClips:
    """All that follows the cutting, in JUDGING steps, for a root that holds clips."""
    root = storage.absolute(config.root)
    steps.begin("screen: leaving out clips that show nothing to follow")
    screened = screen_dataset(ScreeningConfig(root=root, executor=config.executor, rules=config.rules), dry_run=False)
    steps.begin(f"label: following {config.queries.num_queries} points per clip with {config.labeler}")
    label_set = label_dataset(config.labeling, dry_run=False).label_set
    steps.begin(f"audit: judging the tracks of {label_set}")
    audited = audit_labels(AuditingConfig(root=root, label_set=label_set, executor=config.executor), dry_run=False)
    steps.begin("contact sheet")
    audit = audited.plan.audit.name
    sheet = storage.absolute(config.sheet or Layout(root).audit_report(audit, SHEET))
    write_image(sheet, draw_sheet(Shown(root=root, label_set=label_set, audit=audit), None, _SHEET_CLIPS))
    assert audited.summary is not None
    assert audited.gate is not None
    return JudgedClips(screened=screened, label_set=label_set, audited=audited, summary=audited.summary, gate=audited.gate, sheet=sheet)
