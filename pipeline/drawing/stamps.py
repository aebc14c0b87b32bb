"""Small shapes with exact soft edges at sub-pixel places, where OpenCV's smoothed circles of 1 to 4 pixels look ragged.

A pixel's share of a shape is 0.5 minus its signed distance to the shape's edge, within [0, 1].
"""

import numpy as np

DARK = (16, 16, 20)
WHITE = (255, 255, 255)
_DARK_OPACITY = 0.8


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
    """Draw a hollow point, which leaves the image within as it is: predicted here, not seen. A little wider than a disc."""
    outer = 1.2 * radius
    inner = max(0.9, outer - max(1.0, 0.5 * radius))
    patch = _patch(image, centre, outer + outline(radius) + 1)
    if patch is None:
        return
    view, dx, dy = patch
    distance = np.hypot(dx, dy)
    outside_hole = _share(inner - distance)
    _paint(view, DARK, _DARK_OPACITY * _share(distance - outer - outline(radius)) * outside_hole)
    _paint(view, colour, _share(distance - outer) * outside_hole)


def stamp_cross(image: np.ndarray, centre: np.ndarray, *, radius: float) -> None:
    """Draw a white cross that reaches beyond a disc of this radius: here the point was asked for."""
    reach, half_line = 2.1 * radius, max(0.5, 0.2 * radius)
    patch = _patch(image, centre, reach + 2)
    if patch is None:
        return
    view, dx, dy = patch
    for colour, grow, opacity in ((DARK, 0.8, _DARK_OPACITY), (WHITE, 0.0, 1.0)):
        arms = [_share(np.abs(a) - half_line - grow) * _share(np.abs(b) - reach - grow) for a, b in ((dx, dy), (dy, dx))]
        _paint(view, colour, opacity * np.maximum(*arms))


def outline(radius: float) -> float:
    """Width of the dark outline of a point."""
    return max(0.7, 0.25 * radius)


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
