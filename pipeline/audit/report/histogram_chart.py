"""One histogram as SVG: bars, the last accepted audit in outline, and the lines of the rules."""

import bisect
from collections.abc import Sequence

from pipeline.audit.report.limits import Limit
from pipeline.audit.report.markup import Markup, element
from pipeline.audit.report.wording import counted_share, figure
from pipeline.audit.summing.records import Histogram

_WIDTH, _HEIGHT = 320, 160
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 42, 20
_MAX_TICKS = 5
_MAX_LIMITS = 3  # what a measure has at most; their words stand above the bars


def histogram_chart(histogram: Histogram, *, limits: Sequence[Limit] = (), baseline: Histogram | None = None, title: str = "") -> Markup:
    """Bars of equal width, one per bin, however wide the bin; heights are shares of what is known.

    Args:
        baseline: drawn in outline; of the same edges.
    """
    shares = _shares(histogram)
    before = _shares(baseline) if baseline is not None and baseline.edges == histogram.edges else []
    top = max([*shares, *before, 1e-9])
    total = sum(histogram.counts)
    shapes = [_bar(histogram, place, shares[place] / top, total) for place in range(len(shares))]
    if before:
        shapes.append(element("path", class_="outline", d=_outline([share / top for share in before])))
    shapes += [element("line", class_="axis", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=_HEIGHT - _BOTTOM, y2=_HEIGHT - _BOTTOM)]
    shapes += [*_ticks(histogram.edges), *_lines(histogram.edges, limits[:_MAX_LIMITS])]
    label = f"Histogram of {title or histogram.measure}: {total:,} values, highest bar {top:.0%}"
    return element("svg", *shapes, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=label, class_="chart")


def position(edges: Sequence[float], value: float) -> float:
    """Where a value lies along bins of equal width, 0 to 1: linearly within its bin, at the ends beyond them."""
    if value <= edges[0]:
        return 0.0
    if value >= edges[-1]:
        return 1.0
    place = bisect.bisect_right(edges, value) - 1
    return (place + (value - edges[place]) / (edges[place + 1] - edges[place])) / (len(edges) - 1)


def _shares(histogram: Histogram) -> list[float]:
    total = max(sum(histogram.counts), 1)
    return [count / total for count in histogram.counts]


def _x(share: float) -> float:
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 2)


def _y(share: float) -> float:
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 2)


def _bar(histogram: Histogram, place: int, height: float, total: int) -> Markup | None:
    if not histogram.counts[place]:
        return None
    number = len(histogram.counts)
    left, right = _x(place / number), _x((place + 1) / number)
    low, high = figure(histogram.edges[place]), figure(histogram.edges[place + 1])
    bounds = f"below {high}" if place == 0 else f"from {low}" if place == number - 1 else f"{low} to {high}"
    hint = element("title", f"{bounds}: {counted_share(histogram.counts[place], total)}")
    top = min(_y(height), _HEIGHT - _BOTTOM - 1)  # one track of a million can still be seen
    drawn = {"x": round(left + 0.5, 2), "width": round(right - left - 1, 2), "y": top, "height": round(_HEIGHT - _BOTTOM - top, 2)}
    return element("rect", hint, class_="bar", **drawn)


def _outline(heights: Sequence[float]) -> str:
    steps = [f"M{_x(0)} {_y(0)}"]
    for place, height in enumerate(heights):
        steps.append(f"V{_y(height)}H{_x((place + 1) / len(heights))}")
    return "".join([*steps, f"V{_y(0)}"])


def _ticks(edges: Sequence[float]) -> list[Markup]:
    number = len(edges) - 1
    step = max(1, -(-number // (_MAX_TICKS - 1)))
    ticks = []
    for place in range(0, number + 1, step):
        anchor = "start" if place == 0 else "end" if place == number else "middle"
        ticks.append(element("text", figure(edges[place], 2), x=_x(place / number), y=_HEIGHT - 6, text_anchor=anchor, class_="tick"))
    return ticks


def _lines(edges: Sequence[float], limits: Sequence[Limit]) -> list[Markup]:
    """A line at each limit, its words above all lines on whichever side has more room; each next one's words lie lower."""
    lines, words = [], []
    for place, limit in enumerate(limits):
        x, y = _x(position(edges, limit.value)), 11 + 13 * place
        right = x > _WIDTH / 2
        lines.append(element("line", class_="limit", x1=x, x2=x, y1=y - 8, y2=_HEIGHT - _BOTTOM))
        at = {"x": round(x - 4 if right else x + 4, 2), "y": y, "text_anchor": "end" if right else "start"}
        words.append(element("text", f"{figure(limit.value)} · {limit.meaning}", class_="limit", **at))
    return [*lines, *words]
