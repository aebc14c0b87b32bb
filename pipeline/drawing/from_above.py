"""Tracks in space seen from above: to the right and ahead of the first camera, with the way that the camera took."""

import math

import cv2
import numpy as np

from pipeline.drawing.legend import Font, text_width, write_line
from pipeline.drawing.style import TrackColours

_GROUND, _GRID, _AXIS, _CAMERA = (32, 34, 40), (48, 50, 58), (84, 87, 98), (245, 245, 248)
_FONT = Font(scale=0.42, colour=(160, 162, 170))
_MARGIN = 16
_PERCENTILES = (2, 98)  # of the seen points: what lies beyond may leave the picture
_ROOM = 0.06  # of the range, around it
_SHIFT = 4  # OpenCV draws at 1 / 2**_SHIFT of a pixel
_FAR = 30_000  # pixels


def tracks_from_above(
    points: np.ndarray, seen: np.ndarray, colours: TrackColours, cameras: np.ndarray, *, size: tuple[int, int]
) -> np.ndarray:
    """Draw where tracks were seen, each a line that ends in a dot, and the camera's way in white, begun by a ring.

    Both axes have one scale, chosen by the tracks and the cameras; lines of the grid are a round number of units apart.

    Args:
        points: float32 "K M 3", in the world. seen: bool "K M".
        colours: of the M tracks.
        cameras: float "K 4 4", camera to world, OpenCV axes.
        size: (height, width) of the picture.
    Returns: uint8 "height width 3", RGB.
    """
    to_first = np.linalg.inv(cameras[0].astype(np.float64))
    above = (points.astype(np.float64) @ to_first[:3, :3].T + to_first[:3, 3])[..., [0, 2]]
    way = (to_first @ cameras.astype(np.float64))[:, [0, 2], 3]
    view = _View.around(above[seen], way, size)
    image = np.full((*size, 3), _GROUND, np.uint8)
    step = view.draw_grid(image)
    places = view.fixed(above)
    table = colours.table.tolist()
    for track in range(points.shape[1]):
        colour = table[colours.entries[track]]
        for run in _runs(seen[:, track]):
            cv2.polylines(image, [places[run, track]], False, colour, 1, cv2.LINE_AA, _SHIFT)
            cv2.circle(image, places[run[-1], track].tolist(), 20, colour, -1, cv2.LINE_AA, _SHIFT)
    taken = view.fixed(way)
    cv2.polylines(image, [taken], False, _CAMERA, 2, cv2.LINE_AA, _SHIFT)
    cv2.circle(image, taken[0].tolist(), 5 << _SHIFT, _CAMERA, 1, cv2.LINE_AA, _SHIFT)
    note = f"up: ahead of the first camera   lines {step:g} apart   white: the camera's way"
    write_line(image, note, (_MARGIN, size[0] - _MARGIN + 4), _FONT)
    return image


class _View:
    """A part of the ground in a picture, by one scale for both axes."""

    def __init__(self, middle: np.ndarray, scale: float, size: tuple[int, int]) -> None:
        self._middle, self._scale, self._size = middle, scale, size

    @classmethod
    def around(cls, points: np.ndarray, way: np.ndarray, size: tuple[int, int]) -> "_View":
        """The view of points "n 2" and the whole way "K 2"."""
        ends = np.percentile(points, _PERCENTILES, axis=0) if len(points) else way
        low, high = np.minimum(ends.min(0), way.min(0)), np.maximum(ends.max(0), way.max(0))
        extent = np.maximum((high - low) * (1 + 2 * _ROOM), 1e-9)
        height, width = size
        scale = float(min((width - 2 * _MARGIN) / extent[0], (height - 3 * _MARGIN) / extent[1]))
        return cls((low + high) / 2, scale, size)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Ground "... 2" (right, ahead) to pixels "... 2"."""
        height, width = self._size
        centre = np.array([width / 2, (height - _MARGIN) / 2])
        return centre + (points - self._middle) * np.array([self._scale, -self._scale])

    def fixed(self, points: np.ndarray) -> np.ndarray:
        """Pixels in OpenCV's fixed point, int32; what lies far outside is pulled in, as it is not shown anyway."""
        return np.rint(np.clip(self.pixels(points), -_FAR, _FAR) * 2**_SHIFT).astype(np.int32)

    def draw_grid(self, image: np.ndarray) -> float:
        """Draw lines of round coordinates. Returns the distance between two of them."""
        height, width = self._size
        step = _round_step(max(height, width) / self._scale / 10)
        reach = np.array([width, height]) / (2 * self._scale)
        for axis in (0, 1):
            first, last = (math.floor((self._middle[axis] + sign * 1.2 * reach[axis]) / step) for sign in (-1, 1))
            for number in range(first, last + 1):
                place = np.array(self._middle, np.float64)
                place[axis] = number * step
                at = round(float(self.pixels(place)[axis]))
                ends = ((at, 0), (at, height)) if axis == 0 else ((0, at), (width, at))
                cv2.line(image, *ends, _AXIS if number == 0 else _GRID, 1)
                text = f"{number * step:g}"
                if axis == 0 and number and 3 * _MARGIN < at < width - 3 * _MARGIN:
                    write_line(image, text, (at - text_width(text, _FONT) // 2, _MARGIN), _FONT)
                if axis == 1 and number and 2 * _MARGIN < at < height - 3 * _MARGIN:
                    write_line(image, text, (_MARGIN, at + 4), _FONT)
        return step


def _round_step(wanted: float) -> float:
    """The number of 1, 2, 5, 10, ... next to `wanted`, not below it."""
    decade = 10.0 ** math.floor(math.log10(wanted))
    return float(next(decade * nice for nice in (1.0, 2.0, 5.0, 10.0) if decade * nice >= wanted * (1 - 1e-9)))


def _runs(seen: np.ndarray) -> list[np.ndarray]:
    """Frames without a gap in which a track is seen, bool "K"."""
    frames = np.flatnonzero(seen)
    return [run for run in np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1) if len(run)]
