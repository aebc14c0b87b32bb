"""Distributions of the measures, the calibration of the weights, and drift since the audit that was accepted last."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.audit.calibrating.records import CalibrationRecord, MeasureReport, SuiteHalf
from pipeline.audit.comparing.records import ALL_CLIPS, LEVELS, DriftRow
from pipeline.audit.report.charts import HistogramChart, ReliabilityChart, histogram_chart, reliability_chart
from pipeline.audit.report.limits import calibration_of, limits_of
from pipeline.audit.report.wording import MeasureText, counted, measure_text, percentage
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.records import AuditSummary, Histogram


@dataclass(frozen=True, kw_only=True, slots=True)
class HistogramPanel:
    """The distribution of one measure, in words and as a chart."""

    measure: str
    text: MeasureText
    num_values: int
    num_unknown: int
    other_bins: bool  # the baseline has other bins and is not drawn
    chart: HistogramChart


@dataclass(frozen=True, kw_only=True, slots=True)
class HistogramGroup:
    """The measures of tracks, or of clips."""

    noun: str
    panels: tuple[HistogramPanel, ...]
    unknown: tuple[str, ...]  # measures without a known value


@dataclass(frozen=True, kw_only=True, slots=True)
class Distributions:
    """All measures of an audit."""

    has_baseline: bool
    groups: tuple[HistogramGroup, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationCard:
    """A calibration, and its test on clips that it was not fitted on."""

    record: CalibrationRecord
    holds_for: str
    fitted_on: str
    tested_on: str
    measures: tuple[MeasureReport, ...]  # those that tell bad tracks best first
    unknown: tuple[str, ...]  # measures whose worth the test does not tell
    chart: ReliabilityChart
    has_spread: bool  # the test has clips enough to say how much its figures vary between them


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftLine:
    """One row of the table of drift."""

    row: DriftRow
    sign: str
    word: str
    group: str  # "" for all clips


_SIGNS = {"fine": "✓", "warn": "▲", "fail": "✕"}
_WORDS = {"fine": "none", "warn": "some", "fail": "large"}
MIN_SPREAD_CLIPS = 5  # fewer clips give no spread


def distributions(audit: AuditSet, summary: AuditSummary, baseline: AuditSummary | None) -> Distributions:
    """Histograms with the lines of this audit's rules, and the last accepted audit in outline."""
    tracks, clips = (baseline.track_histograms, baseline.clip_histograms) if baseline is not None else ((), ())
    groups = (
        _histogram_group("tracks", audit, summary.track_histograms, tracks),
        _histogram_group("clips", audit, summary.clip_histograms, clips),
    )
    return Distributions(has_baseline=baseline is not None, groups=groups)


def _histogram_group(noun: str, audit: AuditSet, histograms: Sequence[Histogram], before: Sequence[Histogram]) -> HistogramGroup:
    baselines = {each.measure: each for each in before}
    return HistogramGroup(
        noun=noun,
        panels=tuple(_panel(audit, each, baselines.get(each.measure)) for each in histograms if sum(each.counts)),
        unknown=tuple(each.measure for each in histograms if not sum(each.counts)),
    )


def _panel(audit: AuditSet, histogram: Histogram, baseline: Histogram | None) -> HistogramPanel:
    text = measure_text(histogram.measure)
    return HistogramPanel(
        measure=histogram.measure,
        text=text,
        num_values=sum(histogram.counts) + histogram.unknown,
        num_unknown=histogram.unknown,
        other_bins=baseline is not None and baseline.edges != histogram.edges,
        chart=histogram_chart(histogram, limits=limits_of(histogram.measure, audit), baseline=baseline, title=text.title),
    )


def calibration_card(audit: AuditSet) -> CalibrationCard | None:
    """None where the weights come from fixed formulas.

    Raises: DataError if what the audit holds is no calibration.
    """
    if audit.calibration is None:
        return None
    record = calibration_of(audit.calibration)
    known = [each for each in record.held_out.measures if math.isfinite(each.auroc_mean)]
    return CalibrationCard(
        record=record,
        holds_for=_holds_for(record),
        fitted_on=_suite(record.fit),
        tested_on=_suite(record.held_out.suite),
        measures=tuple(sorted(known, key=lambda each: -each.auroc_mean)),
        unknown=tuple(each.measure for each in record.held_out.measures if not math.isfinite(each.auroc_mean)),
        chart=reliability_chart(record.held_out.reliability),
        has_spread=record.held_out.suite.num_clips >= MIN_SPREAD_CLIPS,
    )


def _holds_for(record: CalibrationRecord) -> str:
    checkpoint = f"checkpoint {record.checkpoint_sha256[:12]}…" if record.checkpoint_sha256 else ""
    options = ", ".join(f"{name}={value}" for name, value in sorted(record.options.items()))
    return ", ".join(part for part in (record.labeler, checkpoint, f"options {options}" if options else "") if part)


def _suite(half: SuiteHalf) -> str:
    counts = f"{counted(half.num_clips, 'clip')}, {counted(half.num_tracks, 'track')}, {percentage(half.bad_share)} of them bad"
    return f"{', '.join(half.datasets)}: {counts}"


def drift_lines(rows: Sequence[DriftRow]) -> tuple[DriftLine, ...]:
    """The most drifted first."""
    ordered = sorted(rows, key=lambda row: (-LEVELS.index(row.level), -_or_least(row.psi), row.measure))
    return tuple(
        DriftLine(row=row, sign=_SIGNS[row.level], word=_WORDS[row.level], group="" if row.group == ALL_CLIPS else row.group)
        for row in ordered
    )


def _or_least(value: float) -> float:
    """Sort key that ranks unknown values last."""
    return value if math.isfinite(value) else -math.inf
