"""Summary of a comparison, and its document."""

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from jobs.console import DONE, GATE_CLOSED, counted, print_summary
from pipeline.audit.comparing.records import ALL_CLIPS, LEVELS, CanaryReport, Comparison, DriftRow
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.shards.dataset import code_version

_WIDTH = 120  # columns off a terminal
_SHOWN_REASONS = 5
_WORST = 5  # measures that are printed without --verbose


def report_comparison(comparison: Comparison, root: str, out: str | None, *, verbose: bool = False) -> int:
    """Print the verdict, the measures that moved most (all of them with `verbose`), the summary; give the exit code.

    It is 4 where the second set should not take the first one's place.
    """
    console, fails = Console(width=None if sys.stdout.isatty() else _WIDTH), comparison.fails
    typer.echo(_verdict(comparison))
    for text in fails[:_SHOWN_REASONS]:
        typer.echo(f"gate: {text}", err=True)
    if len(fails) > _SHOWN_REASONS:
        typer.echo(f"gate: and {len(fails) - _SHOWN_REASONS} more{'' if verbose else '; --verbose shows their measures'}", err=True)
    if verbose:
        console.print(drift_table([row for row in comparison.rows if row.group == ALL_CLIPS], title=_title(comparison)))
        hidden = hidden_rows(comparison)
        if hidden:
            console.print(drift_table(hidden, title="worse than over all clips, where the camera moves in the same way", groups=True))
    else:
        console.print(drift_table(worst_rows(comparison), title=_worst_title(comparison), groups=True))
    print_summary("comparison", _summary(comparison, root, out))
    return GATE_CLOSED if fails else DONE


def worst_rows(comparison: Comparison) -> list[DriftRow]:
    """The measures that moved most, by level, then by population stability index; each in the group of clips where it moved most."""
    ranked = sorted(comparison.rows, key=lambda row: (-LEVELS.index(row.level), math.isnan(row.psi), -row.psi))
    worst: dict[str, DriftRow] = {}
    for row in ranked:
        worst.setdefault(row.measure, row)
    return list(worst.values())[:_WORST]


def hidden_rows(comparison: Comparison) -> list[DriftRow]:
    """Measures that moved more in one bin of the camera's motion than over all clips."""
    overall = {row.measure: LEVELS.index(row.level) for row in comparison.rows if row.group == ALL_CLIPS}
    return [row for row in comparison.rows if row.group != ALL_CLIPS and LEVELS.index(row.level) > overall[row.measure]]


def drift_table(rows: Sequence[DriftRow], *, title: str, groups: bool = False) -> Table:
    """One row for each measure; with `groups` a column says of which clips."""
    table = Table(title=title, title_justify="left")
    for head in (*(("clips",) if groups else ()), "measure"):
        table.add_column(head, no_wrap=True)
    for head in ("PSI", "KS", "moved by"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("level")
    table.add_column("note", overflow="fold")
    for row in rows:
        moved = f"{_cell(row.wasserstein)} {row.unit}".strip()
        table.add_row(*([row.group] if groups else []), row.measure, _cell(row.psi), _cell(row.ks), moved, row.level, row.note)
    return table


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """All of a comparison in JSON types; an undefined value is null. Holds no clock time and no path."""
    return {
        "first": _identity(comparison.first),
        "second": _identity(comparison.second),
        "rules": asdict(comparison.rules),
        "num_clips": dict(comparison.num_clips),
        "left_out": dict(comparison.left_out),
        "warnings": list(comparison.warnings),
        "drift": [_defined(asdict(row)) for row in comparison.rows],
        "canary": {**_defined(asdict(comparison.canary)), "clips": [_defined(asdict(clip)) for clip in comparison.canary.clips]},
        "fails": list(comparison.fails),
        "exit_code": GATE_CLOSED if comparison.fails else DONE,
        "code_version": code_version(),
    }


def _summary(comparison: Comparison, root: str, out: str | None) -> list[tuple[str, object]]:
    levels = [row.level for row in comparison.rows]
    per_bin = ", ".join(f"{count} {name}" for name, count in comparison.num_clips.items() if name != ALL_CLIPS)
    rows: list[tuple[str, object]] = [
        ("root", root),
        ("clips", f"{comparison.num_clips[ALL_CLIPS]} measured by both ({per_bin})"),
        *([("left out", ", ".join(f"{count} {reason}" for reason, count in comparison.left_out.items()))] if comparison.left_out else []),
        ("drift", f"{levels.count('fail')} fail, {levels.count('warn')} warn, {levels.count('fine')} fine"),
        ("canary", _canary_text(comparison.canary)),
        *(("warning", text) for text in comparison.warnings),
        ("written", f"{out}/comparison.json" if out else "nothing; --out DIR keeps the numbers, --verbose prints every measure"),
    ]
    return rows


def _verdict(comparison: Comparison) -> str:
    if comparison.fails:
        return f"no: {comparison.second.name} is not what {comparison.first.name} was ({counted(len(comparison.fails), 'reason')})"
    return f"yes: {comparison.second.name} may take the place of {comparison.first.name}"


def _canary_text(canary: CanaryReport) -> str:
    if canary.relation == "same labels":
        return "not needed: both audits judge the same label set"
    if math.isnan(canary.agree_aj):
        return canary.note
    figures = f"median displacement {_cell(canary.displacement_px)} px, visibility IoU {_cell(canary.visible_iou)}"
    tracks = f"{sum(clip.num_paired for clip in canary.clips):,} of {sum(clip.num_tracks for clip in canary.clips):,} tracks"
    return f"{canary.level}: {canary.note}; {figures}; {tracks} of {canary.num_paired} clips paired"


def _title(comparison: Comparison) -> str:
    clips = counted(comparison.num_clips[ALL_CLIPS], "clip")
    return f"{comparison.first.name} -> {comparison.second.name}: drift over {clips} (px of 256 x 256)"


def _worst_title(comparison: Comparison) -> str:
    measures = {row.measure for row in comparison.rows}
    if len(measures) <= _WORST:
        return _title(comparison)
    return f"{_title(comparison)}: the {_WORST} of {len(measures)} measures that moved most"


def _cell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _identity(audit: AuditSet) -> dict[str, Any]:
    return {name: getattr(audit, name) for name in ("name", "label_set", "labeler", "checkpoint_sha256", "measures", "weights", "cycle")}


def _defined(values: dict[str, Any]) -> dict[str, Any]:
    """The same with null for NaN, and numbers short."""
    return {name: (None if math.isnan(value) else round(value, 6)) if isinstance(value, float) else value for name, value in values.items()}
