"""Predicted against observed share of bad tracks, as SVG."""

import math
from collections.abc import Sequence

from pipeline.audit.calibrating.records import ReliabilityBin
from pipeline.audit.report.markup import Markup, element
from pipeline.audit.report.wording import percentage

_SIDE, _LEFT, _TOP, _BOTTOM, _RIGHT = 280, 40, 12, 40, 12
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def reliability_chart(bins: Sequence[ReliabilityBin]) -> Markup:
    """A dot for each bin, on the diagonal where the calibration is right; its area grows with the bin's tracks."""
    known = [each for each in bins if each.num_tracks and math.isfinite(each.predicted) and math.isfinite(each.observed)]
    most = max((each.num_tracks for each in known), default=1)
    grid = [shape for tick in _TICKS for shape in _tick(tick)]
    path = "M" + "L".join(f"{_x(each.predicted)} {_y(each.observed)}" for each in known)
    shapes = [
        *grid,
        element("line", class_="diagonal", x1=_x(0), y1=_y(0), x2=_x(1), y2=_y(1)),
        element("path", class_="outline", d=path) if known else None,
        *(_dot(each, 3 + 6 * math.sqrt(each.num_tracks / most)) for each in known),
        element("text", "predicted", x=_x(0.5), y=_SIDE - 6, text_anchor="middle", class_="tick"),
        element("text", "observed", x=12, y=_y(0.5), text_anchor="middle", class_="tick", transform=f"rotate(-90 12 {_y(0.5)})"),
    ]
    label = "Reliability: predicted against observed share of bad tracks; on the diagonal the two agree"
    return element("svg", *shapes, viewBox=f"0 0 {_SIDE} {_SIDE}", role="img", aria_label=label, class_="chart square")


def _x(share: float) -> float:
    return round(_LEFT + share * (_SIDE - _LEFT - _RIGHT), 2)


def _y(share: float) -> float:
    return round(_SIDE - _BOTTOM - share * (_SIDE - _TOP - _BOTTOM), 2)


def _tick(tick: float) -> list[Markup]:
    return [
        element("line", class_="grid", x1=_x(0), x2=_x(1), y1=_y(tick), y2=_y(tick)),
        element("text", f"{tick:g}", x=_LEFT - 6, y=_y(tick) + 3.5, text_anchor="end", class_="tick"),
        element("text", f"{tick:g}", x=_x(tick), y=_SIDE - _BOTTOM + 14, text_anchor="middle", class_="tick"),
    ]


def _dot(each: ReliabilityBin, radius: float) -> Markup:
    words = f"{each.num_tracks:,} tracks: {percentage(each.predicted)} predicted, {percentage(each.observed)} bad"
    return element("circle", element("title", words), class_="dot", cx=_x(each.predicted), cy=_y(each.observed), r=round(radius, 2))
