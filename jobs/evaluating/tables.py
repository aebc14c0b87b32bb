"""The result as tables for people."""

import math
import sys
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from jobs.console import counted
from jobs.evaluating.job import Evaluation, SetEvaluation
from jobs.evaluating.measures import MEASURES, LabelMeasures, mean_measures, pooled_measures

_HEADS = ("AJ", "delta_avg", "OA", "median px", "survival")
_CLIP_HEADS = ("AJ", "d_avg", "OA", "px")  # of the first measures, in the wider table
_WIDTH, _CLIP_WIDTH = 120, 45  # columns off a terminal, where nobody wants a table cut short: at least, and for key and tracks


def print_tables(evaluation: Evaluation, *, num_clips: int) -> None:
    """Print the sets side by side, then up to `num_clips` clips, the worst ones if there are more."""
    console = Console(width=None if sys.stdout.isatty() else max(_WIDTH, _CLIP_WIDTH + 9 * len(_CLIP_HEADS) * len(evaluation.sets)))
    console.print(overall_table(evaluation))
    if num_clips and evaluation.keys:
        console.print(clip_table(evaluation, num_clips=num_clips))


def overall_table(evaluation: Evaluation) -> Table:
    """Two rows for each label set: the mean over clips, and all points together."""
    mode = evaluation.config.query_mode
    table = Table(title=f"labels against truth (TAP-Vid, {mode}, 256 x 256; percent, median in px)", title_justify="left")
    table.add_column("label set", overflow="fold")
    table.add_column("over")
    for head in _HEADS:
        table.add_column(head, justify="right")
    for letter, one in zip(_letters(evaluation), evaluation.sets, strict=True):
        for place, (over, cells) in enumerate(_rows(one)):
            table.add_row(f"{letter}  {one.label_set.name}" if place == 0 else "", over, *cells)
    return table


def clip_table(evaluation: Evaluation, *, num_clips: int) -> Table:
    """One row for each clip, with the sets side by side."""
    shown = _chosen(evaluation, num_clips)
    total = len(evaluation.keys)
    title = counted(len(shown), "clip") if len(shown) == total else f"the {len(shown)} worst of {counted(total, 'clip')} by mean AJ"
    table = Table(title=title, title_justify="left")
    table.add_column("clip", overflow="fold", min_width=24)
    table.add_column("tracks", justify="right")
    for letter in _letters(evaluation):
        for head in _CLIP_HEADS:
            table.add_column(f"{letter} {head}", justify="right")
    for place in shown:
        clips = [one.clips[place] for one in evaluation.sets]
        tracks = " ".join(str(count) for count in dict.fromkeys(clip.num_tracks for clip in clips))
        cells = [_cell(name, getattr(clip.values, name)) for clip in clips for name in MEASURES[: len(_CLIP_HEADS)]]
        table.add_row(clips[0].key, tracks, *cells)
    return table


def _rows(one: SetEvaluation) -> list[tuple[str, list[str]]]:
    if not one.clips:
        return [(counted(0, "clip"), ["-"] * len(MEASURES))]
    total, points = len(one.clips), sum(clip.num_points for clip in one.clips)
    means = mean_measures(one.clips)
    cells = [_cell(name, mean.value) + (f" ({mean.num_defined} of {total})" if mean.num_dropped else "") for name, mean in means.items()]
    pooled = asdict(pooled_measures(one.clips, one.errors))
    return [(counted(total, "clip"), cells), (counted(points, "point"), [_cell(name, pooled[name]) for name in MEASURES])]


def _cell(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if name == "median_error_px" else f"{100 * value:.1f}"


def _chosen(evaluation: Evaluation, num_clips: int) -> list[int]:
    """Places of the clips to show: in plan order if all fit, else the worst ones, the worst first."""
    total = len(evaluation.keys)
    if total <= num_clips:
        return list(range(total))
    return sorted(range(total), key=lambda place: (_badness([one.clips[place] for one in evaluation.sets]), place))[:num_clips]


def _badness(clips: list[LabelMeasures]) -> float:
    """The mean AJ over the sets; clips in which it is undefined come last."""
    found = [clip.values.average_jaccard for clip in clips if not math.isnan(clip.values.average_jaccard)]
    return sum(found) / len(found) if found else math.inf


def _letters(evaluation: Evaluation) -> list[str]:
    return [chr(ord("A") + index % 26) for index in range(len(evaluation.sets))]
