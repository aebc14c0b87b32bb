"""Lines of text on an image, and the legend: symbols drawn by the code that draws them on the clips."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.drawing.style import TrackStyle, palette
from pipeline.drawing.tracks import draw_frame, stamp_cross, stamp_disc, stamp_ring
from pipeline.records import TrackLabels

_ELLIPSIS = "..."
_NAMES = ("filled: visible", "hollow: hidden, position predicted", "line: its last frames", "cross: query")
_SYMBOL, _SPACE, _RADIUS = 34, 22, 5.0
_RAMP_TEXT, _RAMP_WIDTH = "colour: weight of the track, from 0 to 1", 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Font:
    """One way of writing; `scale` 0.5 gives capitals about 11 pixels high."""

    scale: float = 0.5
    colour: tuple[int, int, int] = (235, 235, 238)
    face: int = cv2.FONT_HERSHEY_SIMPLEX


def text_width(text: str, font: Font) -> int:
    """Pixels that the text takes across."""
    return int(cv2.getTextSize(text, font.face, font.scale, 1)[0][0])


def elide(text: str, width: int, font: Font) -> str:
    """The text, shortened in its middle if it is wider than `width` pixels: ends of keys tell clips apart. May be empty."""
    if text_width(text, font) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        head = (kept + 1) // 2
        shorter = text[:head] + _ELLIPSIS + text[len(text) - (kept - head) :]
        if text_width(shorter, font) <= width:
            return shorter
    return ""


def write_line(image: np.ndarray, text: str, at: tuple[int, int], font: Font, *, width: int | None = None) -> int:
    """Write into `image` with the baseline's left end at `at` (x, y), within `width` (or up to the image's edge). Gives the width taken."""
    shown = elide(text, image.shape[1] - at[0] if width is None else width, font)
    cv2.putText(image, shown, at, font.face, font.scale, font.colour, 1, cv2.LINE_AA)
    return text_width(shown, font)


def write_tag(image: np.ndarray, text: str, font: Font) -> None:
    """Write into the image's lower left corner, on a darkened ground; left out where it does not fit."""
    height, width = image.shape[:2]
    taken = text_width(text, font)
    tag_height, pad = round(44 * font.scale), 5
    if taken + 2 * pad > width or tag_height > height:
        return
    ground = image[height - tag_height :, : taken + 2 * pad]
    ground[:] = ground // 3
    write_line(image, text, (pad, height - round(14 * font.scale)), font)


def legend_width(font: Font) -> int:
    """Pixels that the legend takes across."""
    return sum(_SYMBOL + text_width(name, font) + _SPACE for name in _NAMES) - _SPACE


def draw_legend(image: np.ndarray, at: tuple[int, int], font: Font) -> None:
    """Draw the legend into `image` with its baseline's left end at `at` (x, y)."""
    x, baseline = at
    colours = palette()[[14, 24, 34, 2]]
    for name, colour in zip(_NAMES, colours, strict=True):
        centre = np.array([x + _SYMBOL / 2, baseline - 5.0])
        if name.startswith("line"):
            _stamp_tail(image[baseline - 25 : baseline + 15, x : x + _SYMBOL])
        elif name.startswith("hollow"):
            stamp_ring(image, centre, colour, radius=_RADIUS)
        else:
            if name.startswith("cross"):
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
