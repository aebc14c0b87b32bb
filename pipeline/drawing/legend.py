"""What the symbols mean, drawn by the same code that draws them on the clips."""

import numpy as np

from pipeline.drawing.stamps import stamp_cross, stamp_disc, stamp_ring
from pipeline.drawing.style import TrackStyle, palette
from pipeline.drawing.text import Font, text_width, write_line
from pipeline.drawing.tracks import draw_frame
from pipeline.records import TrackLabels

_NAMES = ("visible", "invisible (predicted)", "tail: last frames", "queried here")
_SYMBOL, _SPACE, _RADIUS = 34, 22, 5.0
_RAMP_TEXT, _RAMP_WIDTH = "colour: weight of the track, 0 to 1", 120


def legend_width(font: Font) -> int:
    """Pixels that the legend takes across."""
    return sum(_SYMBOL + text_width(name, font) + _SPACE for name in _NAMES) - _SPACE


def draw_legend(image: np.ndarray, at: tuple[int, int], font: Font) -> None:
    """Draw the legend into `image` with its baseline's left end at `at` (x, y)."""
    x, baseline = at
    colours = palette()[[14, 24, 34, 2]]
    for name, colour in zip(_NAMES, colours, strict=True):
        centre = np.array([x + _SYMBOL / 2, baseline - 5.0])
        if name.startswith("tail"):
            _stamp_tail(image[baseline - 25 : baseline + 15, x : x + _SYMBOL])
        elif name.startswith("invisible"):
            stamp_ring(image, centre, colour, radius=_RADIUS)
        else:
            if name.startswith("queried"):
                stamp_cross(image, centre, radius=_RADIUS)
            stamp_disc(image, centre, colour, radius=_RADIUS)
        x += _SYMBOL + write_line(image, name, (x + _SYMBOL, baseline), font) + _SPACE


def ramp_width(font: Font) -> int:
    """Pixels that the legend of a ramp takes across."""
    return text_width(_RAMP_TEXT, font) + _SPACE // 2 + _RAMP_WIDTH


def draw_ramp(image: np.ndarray, at: tuple[int, int], font: Font, table: np.ndarray) -> None:
    """Draw the colours of weights 0 to 1, a table uint8 "K 3", with the baseline's left end at `at` (x, y)."""
    x, baseline = at
    x += write_line(image, _RAMP_TEXT, at, font) + _SPACE // 2
    image[baseline - 11 : baseline + 1, x : x + _RAMP_WIDTH] = table[np.arange(_RAMP_WIDTH) * len(table) // _RAMP_WIDTH]


def _stamp_tail(view: np.ndarray) -> None:
    """A point that came from the left along a bow, as `draw_frame` shows it."""
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    path = np.stack([3 + 18 * steps, 25 - 20 * steps * (1 - steps) - 5 * steps], axis=1)
    labels = TrackLabels(
        queries=np.array([[0, 20, 28]], np.float32), tracks_px=path[:, None].astype(np.float32), visibility=np.ones((9, 1), bool)
    )
    view[:] = draw_frame(view, labels, 8, style=TrackStyle(radius=_RADIUS, tail_frames=9))
