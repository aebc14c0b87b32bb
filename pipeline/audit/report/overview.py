"""The gate's verdict, sums over all clips, weight by group of tracks, and the table of shards."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.audit.report.charts import CellGrid, StackedBar, cell_grid, decision_bar
from pipeline.audit.report.wording import counted, reason_remedy, reason_sentence
from pipeline.audit.summing.records import AuditSummary, GateCheck, GateResult, ShardSummary, WeightMass
from pipeline.audit.verdict import DECISIONS, REASONS
from pipeline.drawing.style import hexadecimal, ramp
from pipeline.records import LabelSet

_MEANING = {
    "keep": "for training",
    "quarantine": "set aside: left out of training unless asked for",
    "drop": "left out of training",
    "error": "could not be judged; left out of training",
}
MAX_SHARDS = 2000  # in the page; all are in shards.parquet
_CELL = re.compile(r"cell: (\d+),(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckLine:
    """One rule of the gate."""

    check: GateCheck
    state: str  # met | unmet | warned
    mark: str
    word: str


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictBanner:
    """Whether one may train on the labels, in one line, and every rule: blocking ones before warnings."""

    passes: bool
    headline: str
    unmet: tuple[CheckLine, ...]
    met: tuple[CheckLine, ...]
    use: str  # Python that streams the clips that are kept


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionLine:
    """Clips of one decision."""

    name: str
    num_clips: int
    meaning: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasonCount:
    """Clips that share a reason against them, or a remark that leaves them kept."""

    name: str
    sentence: str
    decision: str
    num_clips: int
    remedy: str  # "" where none is known


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Sums over all clips."""

    summary: AuditSummary
    mean_weight: float  # of a track; NaN without tracks
    decisions: tuple[DecisionLine, ...]
    bar: StackedBar
    reasons: tuple[ReasonCount, ...]  # against clips: most serious first, then most common
    remarks: tuple[ReasonCount, ...]  # most common first
    licenses: tuple[tuple[str, int], ...]  # with their clips, commonest first


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightGroups:
    """Mean weight of each group of tracks, and over the picture."""

    masses: tuple[WeightMass, ...]
    grid: CellGrid | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardTable:
    """The shards in order; of very many, those that keep least of their clips."""

    shown: tuple[ShardSummary, ...]
    num_shards: int
    decisions: tuple[str, ...]  # a column each


def verdict_banner(gate: GateResult, *, use: str) -> VerdictBanner:
    """The gate's verdict, and how to use what it lets pass."""
    lines = tuple(_check_line(check) for check in sorted(gate.checks, key=lambda check: not check.blocks))
    num_warnings = sum(line.state == "warned" for line in lines)
    headline = "Passes: these labels may be trained on" if gate.passes else "Fails: do not train on these labels yet"
    if gate.passes and num_warnings:
        headline += f", with {counted(num_warnings, 'warning')}"
    return VerdictBanner(
        passes=gate.passes,
        headline=headline,
        unmet=tuple(line for line in lines if line.state != "met"),
        met=tuple(line for line in lines if line.state == "met"),
        use=use,
    )


def _check_line(check: GateCheck) -> CheckLine:
    if check.holds:
        return CheckLine(check=check, state="met", mark="✓", word="met")
    if check.blocks:
        return CheckLine(check=check, state="unmet", mark="✕", word="not met")
    return CheckLine(check=check, state="warned", mark="▲", word="warning")


def totals(summary: AuditSummary, labels: LabelSet | None) -> Totals:
    """Sums of a summary, its reasons and licences ordered.

    Args:
        labels: None where their provenance cannot be read: nothing is said of remedies then.
    """
    counts = summary.decisions
    lines = _reason_counts(summary.reasons, {} if labels is None else labels.queries)
    return Totals(
        summary=summary,
        mean_weight=summary.weight_sum / summary.num_tracks if summary.num_tracks else math.nan,
        decisions=tuple(DecisionLine(name=name, num_clips=counts.get(name, 0), meaning=_MEANING[name]) for name in DECISIONS),
        bar=decision_bar(counts),
        reasons=tuple(line for line in lines if line.decision != "keep"),
        remarks=tuple(line for line in lines if line.decision == "keep"),
        licenses=tuple(sorted(summary.licenses.items(), key=lambda item: (-item[1], item[0]))),
    )


def _reason_counts(reasons: Mapping[str, int], queries: Mapping[str, Any]) -> tuple[ReasonCount, ...]:
    lines = [
        ReasonCount(
            name=name,
            sentence=reason_sentence(name),
            decision=REASONS.get(name, "keep"),
            num_clips=count,
            remedy=reason_remedy(name, queries),
        )
        for name, count in reasons.items()
    ]
    return tuple(sorted(lines, key=lambda line: (-DECISIONS.index(line.decision), -line.num_clips, line.name)))


def weight_groups(masses: Sequence[WeightMass]) -> WeightGroups:
    """Groups by the cell of the picture in which the query lies become a map, all others a table."""
    cells = {(int(match[1]), int(match[2])): mass for mass in masses if (match := _CELL.fullmatch(mass.group))}
    known = {place: mass.mean for place, mass in cells.items() if mass.num_tracks}
    grid = None
    if known:
        size = (max(row for row, _ in cells) + 1, max(column for _, column in cells) + 1)
        grid = cell_grid(known, size, [hexadecimal(colour) for colour in ramp()])
    return WeightGroups(masses=tuple(mass for mass in masses if not _CELL.fullmatch(mass.group)), grid=grid)


def shard_table(shards: Sequence[ShardSummary]) -> ShardTable:
    """At most MAX_SHARDS of the shards."""
    least = sorted(shards, key=lambda each: (each.keep_share, each.shard))[:MAX_SHARDS]
    return ShardTable(shown=tuple(sorted(least, key=lambda each: each.shard)), num_shards=len(shards), decisions=DECISIONS)


def sort_key(value: float) -> str:
    """Sort key of a cell for the page's script; empty for unknown values, which come last."""
    return f"{value:.9g}" if math.isfinite(value) else ""
