"""Summary of a calibration."""

import math
import sys

from rich.console import Console
from rich.table import Table

from jobs.console import DONE, counted, print_summary
from pipeline.audit.calibrating.records import CalibrationRecord, MeasureReport, SuiteHalf

_WIDTH = 120  # columns off a terminal


def report_calibration(record: CalibrationRecord, out: str) -> int:
    """Print tables of the held-out half, and the summary."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    for table in (_measures(record), _reliability(record), _gates(record), _datasets(record)):
        console.print(table)
    held_out = record.held_out
    print_summary(
        "calibration",
        [
            ("version", f"{record.calibration.version}, {counted(len(record.calibration.terms), 'measure')}"),
            ("a bad track is", record.bad_definition),
            ("fitted on", _half(record.fit)),
            ("tested on", _half(held_out.suite)),
            ("AUROC", f"{held_out.auroc:.3f}, mean over clips {_figure(held_out.auroc_mean)}"),
            ("calibration error", f"{held_out.ece:.3f} (10 bins), Brier score {held_out.brier:.3f}"),
            ("record", out),
        ],
    )
    return DONE


def _measures(record: CalibrationRecord) -> Table:
    table = _table("each measure alone, held-out", "measure", "in use", "AUROC", "sd", "least", "AP", "P at R 0.9", "known")
    used = {term.measure for term in record.calibration.terms}
    for row in sorted(record.held_out.measures, key=_rank):
        if row.coverage > 0:
            figures = (row.auroc_mean, row.auroc_sd, row.auroc_min, row.average_precision, row.precision_at_90_recall)
            table.add_row(row.measure, "yes" if row.measure in used else "", *map(_figure, figures), f"{row.coverage:.0%}")
    return table


def _rank(row: MeasureReport) -> tuple[float, str]:
    return (1.0 if math.isnan(row.auroc_mean) else -row.auroc_mean, row.measure)


def _reliability(record: CalibrationRecord) -> Table:
    table = _table("does the probability hold, held-out", "predicted", "bad", "tracks")
    for row in record.held_out.reliability:
        table.add_row(f"{row.predicted:.3f}", f"{row.observed:.3f}", f"{row.num_tracks}")
    return table


def _gates(record: CalibrationRecord) -> Table:
    table = _table("what a gate leaves, held-out", "keep p below", "kept", "bad before", "bad after", "times less")
    for row in record.held_out.gates:
        less = row.bad_before / row.bad_after if row.bad_after > 0 else float("nan")
        table.add_row(f"{row.threshold:g}", f"{row.kept_share:.1%}", f"{row.bad_before:.1%}", f"{row.bad_after:.1%}", f"{less:.1f}")
    return table


def _datasets(record: CalibrationRecord) -> Table:
    table = _table("datasets, held-out", "dataset", "clips", "bad", "AUROC", "calibration error")
    for row in record.held_out.domains:
        table.add_row(row.dataset, f"{row.num_clips}", f"{row.bad_share:.1%}", _figure(row.auroc), f"{row.ece:.3f}")
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _half(half: SuiteHalf) -> str:
    return f"{counted(half.num_tracks, 'track')} of {counted(half.num_clips, 'clip')}, {half.bad_share:.1%} bad: {', '.join(half.datasets)}"


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
