"""Tracks drawn on the frames of a clip: tails of the last frames, and small shapes with exact soft edges at sub-pixel places.

OpenCV's smoothed circles of 1 to 4 pixels look ragged: here a pixel's share of a shape is 0.5 minus its signed distance to the shape's
edge, within [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.drawing.style import TrackColours, TrackStyle
from pipeline.errors import DataError
from pipeline.records import TrackLabels

DARK = (16, 16, 20)
WHITE = (255, 255, 255)
_DARK_OPACITY = 0.92
_SHIFT = 4  # OpenCV draws at 1 / 2**_SHIFT of a pixel
_OUTLINE_OPACITY = 0.7
_INNER_EDGE = 0.6  # of the outline's width, inside a ring: enough to part it from a background of its own colour


def stamp_disc(image: np.ndarray, centre: np.ndarray, colour: np.ndarray, *, radius: float) -> None:
    """Draw into `image` (uint8 "H W 3") a filled point around `centre` (x, y) with a thin dark outline: seen here."""
    patch = _patch(image, centre, radius + outline(radius) + 1)
    if patch is None:
        return
    view, dx, dy = patch
    distance = np.hypot(dx, dy)
    _paint(view, DARK, _DARK_OPACITY * _share(distance - radius - outline(radius)))
    _paint(view, colour, _share(distance - radius))


def stamp_ring(image: np.ndarray, centre: np.ndarray, colour: np.ndarray, *, radius: float) -> None:
    """Draw a hollow point, wider than a disc and dark on both sides, which leaves the image within as it is: predicted here, not seen."""
    edge = outline(radius)
    outer = 1.2 * radius
    inner = max(0.4, outer - max(1.3, 0.5 * radius))
    patch = _patch(image, centre, outer + edge + 1)
    if patch is None:
        return
    view, dx, dy = patch
    distance = np.hypot(dx, dy)
    _paint(view, DARK, _DARK_OPACITY * _share(distance - outer - edge) * _share(inner - _INNER_EDGE * edge - distance))
    _paint(view, colour, _share(distance - outer) * _share(inner - distance))


def stamp_cross(image: np.ndarray, centre: np.ndarray, *, radius: float) -> None:
    """Draw a white cross that reaches beyond a disc of this radius: here the point was asked for."""
    reach, half_line = 2.1 * radius, max(0.75, 0.2 * radius)
    patch = _patch(image, centre, reach + outline(radius) + 1)
    if patch is None:
        return
    view, dx, dy = patch
    for colour, grow, opacity in ((DARK, outline(radius), _DARK_OPACITY), (WHITE, 0.0, 1.0)):
        arms = [_share(np.abs(a) - half_line - grow) * _share(np.abs(b) - reach - grow) for a, b in ((dx, dy), (dy, dx))]
        _paint(view, colour, opacity * np.maximum(*arms))


def outline(radius: float) -> float:
    """Width of the dark outline of a point: wider than a pixel, so that a bright point stands out from a bright background."""
    return max(1.2, 0.25 * radius)


def _patch(image: np.ndarray, centre: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The part of the image within `reach` of `centre`, and its pixels' offsets from it, "1 w" and "h 1"; None if it lies outside."""
    height, width = image.shape[:2]
    left, top = (max(0, int(np.ceil(value - reach))) for value in centre)
    right, bottom = (min(size, int(value + reach) + 1) for value, size in zip(centre, (width, height), strict=True))
    if left >= right or top >= bottom:
        return None
    return image[top:bottom, left:right], np.arange(left, right)[None] - centre[0], np.arange(top, bottom)[:, None] - centre[1]


def _share(distance: np.ndarray) -> np.ndarray:
    return np.clip(0.5 - distance, 0, 1)


def _paint(view: np.ndarray, colour: tuple[int, int, int] | np.ndarray, share: np.ndarray) -> None:
    view[:] = np.rint(view + (np.asarray(colour, np.float32) - view) * share[..., None])


def tail_length(seen: np.ndarray, *, most: int, bytes_per_point: int, budget: int) -> int:
    """Frames that a tail reaches back, at most `most`, so that the tails of all frames fit the budget in bytes; at least 1.

    Args:
        seen: bool "T N".
    """
    points = int(seen.sum())
    return max(1, min(most, budget // max(1, points * bytes_per_point) - 1))


def tails(points: np.ndarray, seen: np.ndarray, t: int, length: int) -> tuple[Sequence[np.ndarray], np.ndarray]:
    """Lines of the points that are seen in frame `t` and the one before, back to where they were last not seen.

    Args:
        points: float32 "T N D".
        seen: bool "T N".
        length: frames that a line reaches back at most.
    Returns: the lines, "k D" each with 2 <= k <= length + 1, oldest point first; and the tracks that they are of, int64 "n".
    """
    first = max(0, t - length)
    window = seen[first : t + 1][::-1]
    runs = np.minimum.accumulate(window, axis=0).sum(axis=0)  # frames seen without a gap, back from t
    tracks = np.flatnonzero(runs >= 2)
    return [points[t + 1 - runs[n] : t + 1, n] for n in tracks], tracks


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Look:
    """Style and colours that a clip's tracks are drawn with."""

    style: TrackStyle
    radius: float
    colours: TrackColours

    @property
    def line(self) -> int:
        return max(1, round(0.55 * self.radius))


def draw_tracks(frames: np.ndarray, labels: TrackLabels, *, style: TrackStyle | None = None) -> np.ndarray:
    """Draw every track on every frame: filled where visible, hollow where invisible, with a fading tail of where it was seen.

    Args:
        frames: uint8 "T H W 3", RGB; left as they are.
        labels: tracks of the same T frames, in pixels of `frames`.
    Returns:
        uint8 "T H W 3". A cross marks each point in the frame of its query.
    Raises: DataError if frames and labels differ in length.
    """
    if len(frames) != len(labels.tracks_px):
        raise DataError(f"{len(frames)} frames, labels of {len(labels.tracks_px)}; draw labels on the clip that they belong to")
    drawn = np.empty_like(frames)
    for t, frame in enumerate(frames):
        drawn[t] = draw_frame(frame, labels, t, style=style)
    return drawn


def draw_frame(frame: np.ndarray, labels: TrackLabels, t: int, *, style: TrackStyle | None = None) -> np.ndarray:
    """Frame `t` of the clip, "H W 3", with its tracks; see `draw_tracks`."""
    style = style or TrackStyle()
    height, width = frame.shape[:2]
    num_tracks = labels.tracks_px.shape[1]
    colours = style.colours_for(labels.queries, height, width)
    look = _Look(style=style, radius=style.radius_for(height, width, num_tracks), colours=colours)
    drawn = _with_tails(frame, labels, t, look=look)
    _draw_points(drawn, labels, t, look=look)
    return drawn


def _with_tails(frame: np.ndarray, labels: TrackLabels, t: int, *, look: _Look) -> np.ndarray:
    """A copy of the frame with tails: a dark outline below, colour above, both through an opacity that fades with age."""
    steps = range(max(0, t - look.style.tail_frames), t)  # oldest first, so that newer parts lie on top
    seen = {s: labels.visibility[s] & labels.visibility[s + 1] for s in steps}
    segments = {s: _fixed(np.stack([labels.tracks_px[s], labels.tracks_px[s + 1]], axis=1)) for s in steps}  # "N 2 2"
    if not any(mask.any() for mask in seen.values()):
        return frame.copy()
    opacity, outline = np.zeros(frame.shape[:2], np.uint8), np.zeros(frame.shape[:2], np.uint8)
    colour = frame.copy()
    table, entries = look.colours.table.tolist(), look.colours.entries
    for s in steps:
        strength = 255 * look.style.tail_opacity * (1 - (t - 1 - s) / look.style.tail_frames)
        lines = segments[s][seen[s]]
        cv2.polylines(outline, lines, False, strength * _OUTLINE_OPACITY, look.line + 2, cv2.LINE_AA, _SHIFT)
        cv2.polylines(opacity, lines, False, strength, look.line, cv2.LINE_AA, _SHIFT)
        for index in np.unique(entries[seen[s]]):
            chosen = segments[s][seen[s] & (entries == index)]
            # wider than the opacity's line and not smoothed, so that its soft edge finds colour below it everywhere
            cv2.polylines(colour, chosen, False, table[index], look.line + 2, cv2.LINE_8, _SHIFT)
    return _blend(_blend(frame, np.array(DARK, np.uint8), outline), colour, opacity)


def _draw_points(image: np.ndarray, labels: TrackLabels, t: int, *, look: _Look) -> None:
    """Draw the points of frame `t`: crosses of queries below, then invisible points, then those that are seen."""
    points, visible = labels.tracks_px[t].astype(np.float64), labels.visibility[t]
    height, width = image.shape[:2]
    margin = 4 * look.radius
    near = ((points > -margin) & (points < np.array([width, height]) + margin)).all(axis=-1)
    colours = look.colours.table[look.colours.entries]
    for n in np.flatnonzero(near & (labels.queries[:, 0] == t)):
        stamp_cross(image, points[n], radius=look.radius)
    for n in np.flatnonzero(near & ~visible):
        stamp_ring(image, points[n], colours[n], radius=look.radius)
    for n in np.flatnonzero(near & visible):
        stamp_disc(image, points[n], colours[n], radius=look.radius)


def _blend(below: np.ndarray, above: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """`above` over `below` by an opacity "H W" of 0..255."""
    share = opacity[..., None].astype(np.float32) / 255
    return np.rint(below + (above.astype(np.float32) - below) * share).astype(np.uint8)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Pixels to OpenCV's fixed point, int32; what lies far outside is pulled in, as it is not shown anyway."""
    return np.rint(np.clip(points, -30_000, 30_000) * 2**_SHIFT).astype(np.int32)
