"""Small charts as images: grouped bars and lines, with axes, in the colours of the contact sheet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.drawing.legend import Font, text_width, write_line
from pipeline.errors import ConfigError

COLOURS = ((108, 180, 255), (255, 176, 84), (126, 214, 138), (240, 128, 168), (190, 160, 255), (240, 224, 110))
_GROUND, _PANEL, _GRID = (24, 25, 29), (32, 34, 40), (58, 60, 68)
_TITLE, _SOFT = Font(scale=0.55), Font(scale=0.42, colour=(170, 172, 180))
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 18, 44, 48  # around the drawing area
_NICE_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Axes:
    """Titles, labels and range of a chart."""

    title: str
    x_label: str = ""
    y_label: str = ""
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    size: tuple[int, int] = (300, 420)  # (height, width) of the whole chart in pixels

    def __post_init__(self) -> None:
        for name, (low, high) in (("x_range", self.x_range), ("y_range", self.y_range)):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ConfigError(f"chart {self.title}: {name} is {low}..{high}, expected two finite numbers, the lower one first")
        if self.size[0] < 2 * (_TOP + _BOTTOM) or self.size[1] < 2 * (_LEFT + _RIGHT):
            raise ConfigError(
                f"chart {self.title}: {self.size} is too small, expected at least {2 * (_TOP + _BOTTOM)} x {2 * (_LEFT + _RIGHT)}"
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Series:
    """One line, or one bar of every group. NaN leaves a gap."""

    name: str
    y: np.ndarray  # float "N"
    x: np.ndarray | None = None  # float "N", for lines


def line_chart(axes: Axes, series: Sequence[Series]) -> np.ndarray:
    """Lines over common axes, uint8 "H W 3", RGB."""
    image = _framed(axes)
    for number, tick in _ticks(axes.x_range):
        _write_centred(image, tick, (_x(axes, number), axes.size[0] - _BOTTOM + 16))
    for index, line in enumerate(series):
        if line.x is not None:
            _draw_line(image, axes, np.column_stack([line.x, line.y]), COLOURS[index % len(COLOURS)])
    return image


def bar_chart(axes: Axes, groups: Sequence[str], series: Sequence[Series], *, digits: int = 1) -> np.ndarray:
    """Bars side by side in named groups, each with its value above; `y` of a series has one value per group. uint8 "H W 3", RGB."""
    image = _framed(axes)
    height, width = axes.size
    group_width = (width - _LEFT - _RIGHT) / max(len(groups), 1)
    bar_width = 0.8 * group_width / max(len(series), 1)
    for place, group in enumerate(groups):
        _write_centred(image, group, (_LEFT + (place + 0.5) * group_width, height - _BOTTOM + 16))
        for index, bars in enumerate(series):
            left = _LEFT + place * group_width + 0.1 * group_width + index * bar_width
            value = float(bars.y[place])
            top = _y(axes, value) if math.isfinite(value) else float(height - _BOTTOM)
            if math.isfinite(value):
                corners = ((round(left) + 1, round(top)), (round(left + bar_width) - 1, height - _BOTTOM))
                cv2.rectangle(image, *corners, COLOURS[index % len(COLOURS)], -1)
            _write_centred(image, f"{value:.{digits}f}" if math.isfinite(value) else "-", (left + bar_width / 2, top - 5))
    return image


def chart_sheet(charts: Sequence[np.ndarray], *, title: str, names: Sequence[str]) -> np.ndarray:
    """Charts of one height side by side, under a title and the colours of the series' names. uint8 "H W 3", RGB."""
    gap, line = 12, 22
    header = 40 + line * len(names)
    width = sum(chart.shape[1] + gap for chart in charts) + gap
    image = np.full((header + charts[0].shape[0] + gap, width, 3), _GROUND, np.uint8)
    write_line(image, title, (gap, 26), _TITLE, width=width - 2 * gap)
    for index, name in enumerate(names):
        baseline = 52 + line * index
        cv2.rectangle(image, (gap, baseline - 11), (gap + 14, baseline + 1), COLOURS[index % len(COLOURS)], -1)
        write_line(image, name, (gap + 24, baseline), _SOFT, width=width - 3 * gap - 24)
    left = gap
    for chart in charts:
        image[header : header + chart.shape[0], left : left + chart.shape[1]] = chart
        left += chart.shape[1] + gap
    return image


def _framed(axes: Axes) -> np.ndarray:
    """The empty chart: title, labels, horizontal grid with its numbers."""
    height, width = axes.size
    image = np.full((height, width, 3), _PANEL, np.uint8)
    write_line(image, axes.title, (_LEFT - 46, 24), _TITLE)
    for number, tick in _ticks(axes.y_range):
        y = round(_y(axes, number))
        cv2.line(image, (_LEFT, y), (width - _RIGHT, y), _GRID, 1)
        write_line(image, tick, (_LEFT - 8 - text_width(tick, _SOFT), y + 4), _SOFT)
    write_line(image, axes.y_label, (_LEFT - 46, _TOP - 6), _SOFT)
    write_line(image, axes.x_label, (width - _RIGHT - text_width(axes.x_label, _SOFT), height - 10), _SOFT)
    return image


def _draw_line(image: np.ndarray, axes: Axes, points: np.ndarray, colour: tuple[int, int, int]) -> None:
    """A line through the points "N 2", broken where one is not finite; what leaves the range above or below runs along its edge."""
    known = np.isfinite(points).all(axis=1)
    pixels = np.column_stack([[_x(axes, x) for x in points[:, 0]], [_y(axes, y) for y in points[:, 1]]])
    for first, second in zip(np.flatnonzero(known), np.flatnonzero(known)[1:], strict=False):
        if second == first + 1:
            ends = np.rint(16 * pixels[[first, second]]).astype(int).tolist()
            cv2.line(image, ends[0], ends[1], colour, 2, cv2.LINE_AA, 4)
    if known.sum() == 1:  # a line of one point is a dot
        cv2.circle(image, np.rint(pixels[known][0]).astype(int).tolist(), 3, colour, -1, cv2.LINE_AA)


def _x(axes: Axes, value: float) -> float:
    return _LEFT + _share(value, axes.x_range) * (axes.size[1] - _LEFT - _RIGHT)


def _y(axes: Axes, value: float) -> float:
    return axes.size[0] - _BOTTOM - _share(value, axes.y_range) * (axes.size[0] - _TOP - _BOTTOM)


def _share(value: float, bounds: tuple[float, float]) -> float:
    share = (value - bounds[0]) / (bounds[1] - bounds[0])
    return min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0


def _ticks(bounds: tuple[float, float]) -> list[tuple[float, str]]:
    """Four to nine round numbers within the range, with their text."""
    span = bounds[1] - bounds[0]
    decade = 10.0 ** math.floor(math.log10(span / 4))
    step = decade * max(nice for nice in _NICE_STEPS if decade * nice <= span / 4 * (1 + 1e-9))
    first, last = math.ceil(bounds[0] / step - 1e-9), math.floor(bounds[1] / step + 1e-9)
    return [(number * step, f"{number * step:.6g}") for number in range(first, last + 1)]


def _write_centred(image: np.ndarray, text: str, at: tuple[float, float]) -> None:
    write_line(image, text, (round(at[0] - text_width(text, _SOFT) / 2), round(at[1])), _SOFT)
