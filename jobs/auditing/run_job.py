"""jobs/audit.py run without its command line: the label set is judged shard by shard, summed up, and held against the gate."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.auditing.run_plan import AuditingConfig, AuditPlan, plan_audit
from jobs.auditing.stages import AuditStage, SummingStage
from jobs.console import ProgressLine
from jobs.execution.run import Executor
from jobs.execution.threads import pin_threads
from pipeline import storage
from pipeline.audit.auditing_shard import ShardAudited, audit_clip
from pipeline.audit.comparing.records import DriftRow
from pipeline.audit.report import build_report
from pipeline.audit.stored.audit_set import claim_audit
from pipeline.audit.summing.documents import read_summary, write_clips, write_shard_lines, write_summary
from pipeline.audit.summing.gate import check_gate, drift_rows
from pipeline.audit.summing.records import AuditSummary, GateResult
from pipeline.audit.summing.sums import merge_sums, summary_of
from pipeline.errors import ConfigError
from pipeline.labels import read_label_shard
from pipeline.layout import Layout
from pipeline.shards.errors_table import ErrorRow, read_errors

_SHOWN_ERRORS = 20
SHARDS_PER_SUM = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """Time and bytes of the clips that were measured in this run."""

    video_s: float = 0.0
    cpu_s: float = 0.0
    ways_lost: int = 0  # clips whose tracks could not be followed back


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditingOutcome:
    """Outcome of the job. A dry run has no summary."""

    plan: AuditPlan
    summary: AuditSummary | None
    gate: GateResult | None
    costs: Costs
    elapsed_s: float
    first_errors: tuple[ErrorRow, ...]
    unexpected: tuple[ErrorRow, ...] = ()  # those that nobody foresaw; the next run tries them again
    report: str  # where it lies


def audit_labels(config: AuditingConfig, *, dry_run: bool) -> AuditingOutcome:
    """Audit what is labelled and not audited yet, then sum up all of it and write the report. A dry run tries one clip, writes nothing.

    Raises: ConfigError; StorageError, once the other shards are done, if some could not be committed.
    """
    plan = plan_audit(config)
    root, name = plan.settings.root, plan.audit.name
    if dry_run:
        return _audit(config, plan, dry_run=True)
    with storage.only_one(Layout(root).lock(f"audit/{name}"), f"the audit {name} of {root}"):
        return _audit(config, plan_audit(config), dry_run=False)  # planned again: another job may have been at it


def _audit(config: AuditingConfig, plan: AuditPlan, *, dry_run: bool) -> AuditingOutcome:
    started = time.perf_counter()
    root, name = plan.settings.root, plan.audit.name
    baseline = _baseline(root, config.baseline)
    report = Layout(root).audit_report(name, "report.html")
    if dry_run:
        return AuditingOutcome(plan=plan, summary=None, gate=None, costs=_try_one(plan), elapsed_s=0.0, first_errors=(), report=report)
    claim_audit(root, plan.audit)
    with config.executor.session():
        costs = _audit_missing(config.executor, plan)
        summary = _summed_up(config.executor, plan)
    drift: list[DriftRow] = [] if baseline is None else drift_rows(baseline, summary)
    gate = check_gate(summary, plan.audit, baseline=baseline, drift=drift)
    write_clips(root, name, plan.shards)
    write_shard_lines(root, name, summary)
    write_summary(root, plan.audit, summary, gate, drift=drift)
    storage.publish_bytes(report, build_report(root, plan.audit, summary, gate, drift=drift or None, baseline=baseline))
    errors = read_errors(root, f"audit/{name}")
    return AuditingOutcome(
        plan=plan,
        summary=summary,
        gate=gate,
        costs=costs,
        elapsed_s=time.perf_counter() - started,
        first_errors=tuple(errors[:_SHOWN_ERRORS]),
        unexpected=tuple(row for row in errors if row.unexpected),
        report=report,
    )


def _audit_missing(executor: Executor, plan: AuditPlan) -> Costs:
    stage = AuditStage(plan.settings, plan.sizes, plan.track_backward)
    with ProgressLine("auditing", sum(plan.sizes[shard] for shard in plan.missing), "clips") as progress:
        results: Sequence[ShardAudited] = list(executor.run(stage, plan.missing, progress).results.values())
    return Costs(
        video_s=sum(result.video_s for result in results),
        cpu_s=sum(result.cpu_s for result in results),
        ways_lost=sum(result.ways_lost for result in results),
    )


def _summed_up(executor: Executor, plan: AuditPlan) -> AuditSummary:
    """All shards: each unit sums up some of them, and the units' sums are added here."""
    groups = [plan.shards[start : start + SHARDS_PER_SUM] for start in range(0, len(plan.shards), SHARDS_PER_SUM)]
    stage = SummingStage(plan.settings, groups)
    with ProgressLine("summing up", len(plan.shards), "shards") as progress:
        results = executor.run(stage, list(range(len(groups))), progress).results
    return summary_of(merge_sums(results[unit] for unit in sorted(results)))


def _baseline(root: str, baseline: str | None) -> AuditSummary | None:
    """The summary that this one is held against: of another audit of the root, or a summary.json."""
    if baseline is None:
        return None
    uri = baseline if baseline.endswith(".json") else Layout(root).audit_report(baseline, "summary.json")
    if not storage.exists(uri):
        raise ConfigError(f"--baseline {baseline}: there is no {uri}; give an audit of this root, or the path of a summary.json")
    return read_summary(uri)


def _try_one(plan: AuditPlan) -> Costs:
    """Costs of the first clip with labels; zeros if there is none."""
    pin_threads(1)
    settings = plan.settings
    for shard in plan.missing:
        for entry in read_label_shard(settings.root, settings.label_set, shard).entries.values():
            if entry.status != "ok":
                continue
            started = time.process_time()
            clip = audit_clip(settings, shard, entry.key, plan.track_backward)
            if clip.tracks is not None:
                return Costs(video_s=clip.video_s, cpu_s=time.process_time() - started)
    return Costs()
