"""One of the paper's tables as JSON, as CSV, and for people: our rows, and the paper's below them."""

import csv
import io
import math
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from jobs.console import counted
from jobs.evaluating.model_job import SubjectScores
from jobs.evaluating.model_report import model_document
from jobs.evaluating.table_job import MeasuredSection, TableEvaluation
from pipeline.metrics.averages import DefinedMean
from trainer.evaluation import Measure

_WIDTH = 120  # columns off a terminal
CSV_COLUMNS = ("table", "section", "dataset", "row", "kind", "measure", "better", "value", "clips")


def table_document(evaluation: TableEvaluation) -> dict[str, Any]:
    """All of a table in JSON types: protocols with their origin, our values of every clip, the paper's rows. Holds no local path."""
    table = evaluation.config.table
    return {
        "table": table.number,
        "title": table.title,
        "sections": [_section_document(one) for one in evaluation.sections],
    }


def _section_document(one: MeasuredSection) -> dict[str, Any]:
    section, protocol = one.section, one.section.protocol
    found = one.evaluation
    return {
        "title": section.title,
        "dataset": protocol.dataset,
        "origin": protocol.origin,
        "measures": list(section.measures),
        "published": [{"row": row.name, "values": list(row.values)} for row in section.published],
        "rows": [] if found is None else [_row_document(one, subject) for subject in found.subjects],
        "evaluation": None if found is None else model_document(found),
    }


def _row_document(one: MeasuredSection, subject: SubjectScores) -> dict[str, Any]:
    return {"row": subject.short_name, "values": [_number(mean.value) for mean in one.values(subject).values()]}


def table_csv(evaluation: TableEvaluation) -> str:
    """One line a value, ours and the paper's, in the paper's units; an undefined one is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for one in evaluation.sections:
        where = (evaluation.config.number, one.section.title, one.section.protocol.dataset)
        for name, kind, values in _rows(one):
            for measure, value in zip(one.section.columns, values, strict=True):
                shown = "" if math.isnan(value.value) else f"{value.value:.6g}"
                writer.writerow((*where, name, kind, measure.name, measure.better, shown, value.num_defined or ""))
    return text.getvalue()


def print_table(evaluation: TableEvaluation) -> None:
    """Print one table a section that was measured."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    for one in evaluation.sections:
        if one.evaluation is not None:
            console.print(_section_table(evaluation, one, len(one.evaluation.keys)))


def table_summary(evaluation: TableEvaluation, out: str | None) -> list[tuple[str, object]]:
    """Summary rows: what was measured by which protocol, what was not and how to have it."""
    config = evaluation.config
    rows: list[tuple[str, object]] = []
    for one in evaluation.sections:
        if one.evaluation is None:
            name = one.section.protocol.dataset
            rows.append((one.section.title, f"left out: its dataset was not given; --root {name}=PATH fills it"))
            continue
        rows.append((one.section.title, one.section.protocol.origin))
        rows += [("", note) for note in _notes(one)]
    if alone := [one.section.title for one in evaluation.sections if one.evaluation is not None and not one.section.published]:
        rows.append(("the paper", f"its numbers are not at hand for {'; '.join(alone)}: ours stand alone"))
    name = f"table_{config.number}"
    rows.append(("written", f"{out}/{name}.json, .csv" if out else "nothing; --out DIR keeps the numbers of every clip, and the settings"))
    return rows


def _section_table(evaluation: TableEvaluation, one: MeasuredSection, num_clips: int) -> Table:
    config = evaluation.config
    title = f"Table {config.number}: {config.table.title}; {one.section.title}; {counted(num_clips, 'clip')}"
    shown = Table(title=title, title_justify="left")
    shown.add_column("", overflow="fold")
    for measure in one.section.columns:
        shown.add_column(measure.head, justify="right")
    for name, kind, values in _rows(one):
        label = name if kind == "measured" else f"{name} (paper)"
        cells = [_cell(measure, value, num_clips) for measure, value in zip(one.section.columns, values, strict=True)]
        shown.add_row(label, *cells)
    return shown


def _rows(one: MeasuredSection) -> Iterator[tuple[str, str, list[DefinedMean]]]:
    """Name, measured or published, and values as printed; ours first."""
    for subject in one.evaluation.subjects if one.evaluation is not None else ():
        yield subject.short_name, "measured", list(one.values(subject).values())
    for row in one.section.published:
        yield row.name, "published", [DefinedMean(value=value, num_defined=0, num_dropped=0) for value in row.values]


def _notes(one: MeasuredSection) -> Iterator[str]:
    """What a reader must know of a section's numbers."""
    found = one.evaluation
    assert found is not None, "notes are of what was measured"
    if found.left_out or found.clip_errors or found.num_unreadable:
        cannot = len({error.key for error in found.clip_errors}) + found.num_unreadable
        left_out = {**found.left_out, **({"cannot be measured": cannot} if cannot else {})}
        yield "left out: " + ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    if pseudo := found.pose_sources.get("pseudo"):
        yield f"poses of {counted(pseudo, 'clip')} come from another method, not from truth: read their values as relative ones"
    for subject in found.subjects:
        reasons = {clip.undefined[name] for clip in subject.clips for name in one.section.measures if name in clip.undefined}
        if reasons:
            yield f"{subject.short_name}: values are undefined: {'; '.join(sorted(reasons))}"


def _cell(measure: Measure, mean: DefinedMean, num_clips: int) -> str:
    if math.isnan(mean.value):
        return "-"
    few = f" ({mean.num_defined})" if 0 < mean.num_defined < num_clips else ""
    return f"{mean.value:.1f}{few}" if measure.percent else f"{mean.value:.4f}{few}"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
