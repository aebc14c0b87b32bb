"""Coordinates of the report's charts, in units of their SVG; macros.html draws them."""

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.audit.calibrating.records import ReliabilityBin
from pipeline.audit.report.limits import Limit
from pipeline.audit.report.wording import counted_share, figure, percentage
from pipeline.audit.summing.records import Histogram
from pipeline.audit.verdict import DECISIONS

_MAX_TICKS = 5
_MAX_LIMITS = 3  # what a measure has at most; their words stand above the bars
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_STACK_WIDTH, _STACK_GAP = 1000.0, 4.0
_CELL = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """The area of a chart, and where shares from 0 to 1 of its width and height lie in it."""

    width: int
    height: int
    left: int  # of the data; the right and the bottom likewise, the words lie outside
    right: int
    top: int
    bottom: int

    def x(self, share: float) -> float:
        """From the left."""
        return round(self.left + share * (self.right - self.left), 2)

    def y(self, share: float) -> float:
        """From the bottom."""
        return round(self.bottom - share * (self.bottom - self.top), 2)


HISTOGRAM = Plot(width=320, height=160, left=8, right=312, top=42, bottom=140)
RELIABILITY = Plot(width=280, height=280, left=40, right=268, top=12, bottom=240)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A rectangle, the text that pointing at it shows, and its class or colour where it has one of its own."""

    x: float
    y: float
    width: float
    height: float
    hint: str
    fill: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A text at a point of a chart."""

    x: float
    y: float
    text: str
    anchor: str = "middle"  # start | middle | end


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitLine:
    """A vertical line from `top` down to the axis, and its words."""

    x: float
    top: float
    words: Mark


@dataclass(frozen=True, kw_only=True, slots=True)
class HistogramChart:
    """Bars of equal width, one per bin, however wide the bin; heights are shares of what is known."""

    plot: Plot
    label: str
    bars: tuple[Bar, ...]  # of the bins that are not empty
    outline: str  # path of the baseline; "" without one
    ticks: tuple[Mark, ...]
    limits: tuple[LimitLine, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """A circle and the text that pointing at it shows."""

    x: float
    y: float
    radius: float
    hint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GridLine:
    """A horizontal line, with the same share beside the vertical axis and below the horizontal one."""

    y: float
    beside: Mark
    below: Mark


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityChart:
    """Predicted against observed share of bad tracks."""

    plot: Plot
    grid: tuple[GridLine, ...]
    outline: str  # path through the dots; "" without one
    dots: tuple[Dot, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StackedBar:
    """Shares side by side as one bar."""

    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CellGrid:
    """Values of the cells of the picture."""

    label: str
    width: int
    height: int
    cells: tuple[tuple[Bar, Mark], ...]


def histogram_chart(histogram: Histogram, *, limits: Sequence[Limit] = (), baseline: Histogram | None = None, title: str) -> HistogramChart:
    """A histogram with the lines of the rules.

    Args:
        baseline: drawn in outline if it has the same edges.
    """
    shares = _shares(histogram)
    before = _shares(baseline) if baseline is not None and baseline.edges == histogram.edges else []
    top = max([*shares, *before, 1e-9])
    return HistogramChart(
        plot=HISTOGRAM,
        label=f"Histogram of {title}: {sum(histogram.counts):,} values, highest bar {top:.0%}",
        bars=tuple(_bar(histogram, place, share / top) for place, share in enumerate(shares) if share),
        outline=_steps([share / top for share in before]) if before else "",
        ticks=_ticks(histogram.edges),
        limits=tuple(_limit(histogram.edges, limit, 11 + 13 * place) for place, limit in enumerate(limits[:_MAX_LIMITS])),
    )


def position(edges: Sequence[float], value: float) -> float:
    """Position of a value along bins of equal width, 0 to 1: linearly within its bin, at the ends beyond them."""
    if value <= edges[0]:
        return 0.0
    if value >= edges[-1]:
        return 1.0
    place = bisect.bisect_right(edges, value) - 1
    return (place + (value - edges[place]) / (edges[place + 1] - edges[place])) / (len(edges) - 1)


def _shares(histogram: Histogram) -> list[float]:
    total = max(sum(histogram.counts), 1)
    return [count / total for count in histogram.counts]


def _bar(histogram: Histogram, place: int, height: float) -> Bar:
    number, bottom = len(histogram.counts), HISTOGRAM.bottom
    left, right = HISTOGRAM.x(place / number), HISTOGRAM.x((place + 1) / number)
    low, high = figure(histogram.edges[place]), figure(histogram.edges[place + 1])
    bounds = f"below {high}" if place == 0 else f"from {low}" if place == number - 1 else f"{low} to {high}"
    hint = f"{bounds}: {counted_share(histogram.counts[place], sum(histogram.counts))}"
    top = min(HISTOGRAM.y(height), bottom - 1)  # one track of a million can still be seen
    return Bar(x=round(left + 0.5, 2), y=top, width=round(right - left - 1, 2), height=round(bottom - top, 2), hint=hint)


def _steps(heights: Sequence[float]) -> str:
    steps = [f"V{HISTOGRAM.y(height)}H{HISTOGRAM.x((place + 1) / len(heights))}" for place, height in enumerate(heights)]
    return "".join([f"M{HISTOGRAM.x(0)} {HISTOGRAM.y(0)}", *steps, f"V{HISTOGRAM.y(0)}"])


def _ticks(edges: Sequence[float]) -> tuple[Mark, ...]:
    number = len(edges) - 1
    step = max(1, -(-number // (_MAX_TICKS - 1)))
    anchors = {0: "start", number: "end"}
    return tuple(
        Mark(x=HISTOGRAM.x(place / number), y=HISTOGRAM.height - 6, text=figure(edges[place], 2), anchor=anchors.get(place, "middle"))
        for place in range(0, number + 1, step)
    )


def _limit(edges: Sequence[float], limit: Limit, y: int) -> LimitLine:
    """The words stand on whichever side of the line has more room."""
    x = HISTOGRAM.x(position(edges, limit.value))
    left = x > HISTOGRAM.width / 2
    text = f"{figure(limit.value)} · {limit.meaning}"
    words = Mark(x=round(x - 4 if left else x + 4, 2), y=y, text=text, anchor="end" if left else "start")
    return LimitLine(x=x, top=y - 8, words=words)


def reliability_chart(bins: Sequence[ReliabilityBin]) -> ReliabilityChart:
    """A dot for each bin, on the diagonal where the calibration is right; its area grows with the bin's tracks."""
    plot = RELIABILITY
    known = [each for each in bins if each.num_tracks and math.isfinite(each.predicted) and math.isfinite(each.observed)]
    most = max((each.num_tracks for each in known), default=1)
    grid = [
        GridLine(
            y=plot.y(share),
            beside=Mark(x=plot.left - 6, y=plot.y(share) + 3.5, text=f"{share:g}", anchor="end"),
            below=Mark(x=plot.x(share), y=plot.bottom + 14, text=f"{share:g}"),
        )
        for share in _SHARES
    ]
    path = "M" + "L".join(f"{plot.x(each.predicted)} {plot.y(each.observed)}" for each in known)
    dots = [
        Dot(
            x=plot.x(each.predicted),
            y=plot.y(each.observed),
            radius=round(3 + 6 * math.sqrt(each.num_tracks / most), 2),
            hint=f"{each.num_tracks:,} tracks: {percentage(each.predicted)} predicted, {percentage(each.observed)} bad",
        )
        for each in known
    ]
    return ReliabilityChart(plot=plot, grid=tuple(grid), outline=path if known else "", dots=tuple(dots))


def decision_bar(decisions: Mapping[str, int]) -> StackedBar:
    """All clips as one bar, in the colours of their decisions, from good to bad."""
    total = sum(decisions.values())
    bars, left = [], 0.0
    for decision in DECISIONS:
        width = _STACK_WIDTH * decisions.get(decision, 0) / max(total, 1)
        if width:
            hint = f"{decision}: {counted_share(decisions[decision], total)}"
            drawn = round(max(width - _STACK_GAP, 2), 2)
            bars.append(Bar(x=round(left, 2), y=0, width=drawn, height=22, hint=hint, fill=decision))
        left += width
    words = ", ".join(f"{decision} {counted_share(decisions.get(decision, 0), total)}" for decision in DECISIONS)
    return StackedBar(label=words, bars=tuple(bars))


def filled_width(share: float) -> float:
    """Of a small bar 100 wide, for a table's cell; the number stands beside it."""
    return round(100 * min(max(share, 0.0), 1.0), 2)


def cell_grid(values: Mapping[tuple[int, int], float], size: tuple[int, int], colours: Sequence[str]) -> CellGrid:
    """Values in [0, 1] of the cells (row, column) of the picture, in the colours of a ramp; a cell without a value stays empty."""
    rows, columns = size
    cells = []
    for (row, column), value in sorted(values.items()):
        colour = colours[round(min(max(value, 0.0), 1.0) * (len(colours) - 1))]
        hint = f"row {row + 1}, column {column + 1}: mean weight {value:.2f}"
        square = Bar(x=_CELL * column + 1, y=_CELL * row + 1, width=_CELL - 2, height=_CELL - 2, hint=hint, fill=colour)
        cells.append((square, Mark(x=_CELL * column + 10, y=_CELL * row + 13, text=f"{100 * value:.0f}")))
    label = f"Mean weight over the picture, {rows} by {columns} cells"
    return CellGrid(label=label, width=_CELL * columns, height=_CELL * rows, cells=tuple(cells))
