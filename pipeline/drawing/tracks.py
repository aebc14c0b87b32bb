"""Tracks drawn on the frames of a clip."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.drawing.stamps import DARK, stamp_cross, stamp_disc, stamp_ring
from pipeline.drawing.style import TrackColours, TrackStyle
from pipeline.errors import DataError
from pipeline.records import TrackLabels

_SHIFT = 4  # OpenCV draws at 1 / 2**_SHIFT of a pixel
_OUTLINE_OPACITY = 0.45


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Look:
    """What a clip's tracks are drawn with."""

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
