"""Models and label sets against truth, as tables for people: one a protocol, and what changed from the first to the others."""

import math
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from jobs.console import counted
from jobs.evaluating.model_job import ModelEvaluation, SubjectScores
from pipeline.metrics.averages import DefinedMean
from trainer.evaluation import (
    CLIPS_FOR_INTERVAL,
    PROTOCOLS,
    ClipScores,
    Measure,
    PairedDifference,
    Protocol,
    paired_difference,
    summarise,
)

_WIDTH = 120  # columns off a terminal, where nobody wants a table cut short
_ENOUGH_PAIRS = 6  # fewer clips agree by chance too often to call one model better


def print_model_tables(evaluation: ModelEvaluation) -> None:
    """Print every table that has a value, and the differences if there are several to compare."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    means = [summarise(one.clips) for one in evaluation.subjects]
    shown = [protocol for protocol in PROTOCOLS if any(mean[each.name].num_defined for mean in means for each in protocol.measures)]
    for protocol in shown:
        console.print(protocol_table(evaluation, protocol, means))
    for other in evaluation.subjects[1:]:
        console.print(difference_table(evaluation.subjects[0], other, shown))


def protocol_table(evaluation: ModelEvaluation, protocol: Protocol, means: list[dict[str, DefinedMean]]) -> Table:
    """One row a checkpoint or label set, and below it one for each part of a benchmark. Columns without a value are left out.

    A value from fewer clips than there are says from how many.
    """
    table = Table(title=f"{protocol.title}; {counted(len(evaluation.keys), 'clip')}", title_justify="left")
    table.add_column("checkpoint" if evaluation.config.checkpoints else "label set", overflow="fold")
    measures = [measure for measure in protocol.measures if any(mean[measure.name].num_defined for mean in means)]
    for measure in measures:
        table.add_column(measure.head, justify="right")
    for one, mean in zip(evaluation.subjects, means, strict=True):
        table.add_row(one.short_name, *(_cell(measure, mean[measure.name]) for measure in measures))
        for subset, clips in subsets_of(one.clips).items():
            of_subset = summarise(clips)
            if any(of_subset[measure.name].num_defined for measure in measures):
                cells = [_cell(measure, of_subset[measure.name]) for measure in measures]
                table.add_row(f"  {subset}, {len(clips)} clips", *cells)
    return table


def subsets_of(clips: Sequence[ClipScores]) -> dict[str, list[ClipScores]]:
    """Clips by the part of a benchmark that they are of, in the order of their names; those of none are left out."""
    names = sorted({clip.subset for clip in clips if clip.subset})
    return {name: [clip for clip in clips if clip.subset == name] for name in names}


def difference_table(first: SubjectScores, other: SubjectScores, protocols: list[Protocol]) -> Table:
    """Paired over clips: the mean difference, its 95 % interval, and the change in percent."""
    table = Table(title=f"{other.short_name} minus {first.short_name}, clip by clip", title_justify="left")
    for head in ("measure", "difference", "95 % interval", "change", "clips"):
        table.add_column(head, justify="left" if head == "measure" else "right")
    for measure in (measure for protocol in protocols for measure in protocol.measures):
        found = differences(first, other, measure)
        if not found.num_pairs:
            continue
        better = _verdict(measure, found)
        change = "-" if math.isnan(found.relative) else f"{100 * found.relative:+.1f} %"
        table.add_row(measure.head, f"{_number(measure, found.mean)}{better}", _interval(measure, found), change, str(found.num_pairs))
    return table


def differences(first: SubjectScores, other: SubjectScores, measure: Measure) -> PairedDifference:
    """Other minus first on the clips where both are defined."""
    return paired_difference([clip.values[measure.name] for clip in first.clips], [clip.values[measure.name] for clip in other.clips])


def _verdict(measure: Measure, found: PairedDifference) -> str:
    """Better or worse, where the interval leaves no doubt."""
    if found.num_pairs < _ENOUGH_PAIRS or found.low <= 0 <= found.high:
        return ""
    return " better" if (found.mean < 0) == (measure.better == "lower") else " worse"


def _interval(measure: Measure, found: PairedDifference) -> str:
    if found.num_pairs < CLIPS_FOR_INTERVAL:
        return f"too few clips for an interval ({found.num_pairs} of {CLIPS_FOR_INTERVAL})"
    return f"{_number(measure, found.low)} to {_number(measure, found.high)}"


def _cell(measure: Measure, mean: DefinedMean) -> str:
    if math.isnan(mean.value):
        return "-"
    return _number(measure, mean.value) + (f" ({mean.num_defined})" if mean.num_dropped else "")


def _number(measure: Measure, value: float) -> str:
    return f"{100 * value:.1f}" if measure.percent else f"{value:.4f}"
