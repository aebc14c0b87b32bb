"""Motion blur from exact motion: light is gathered along the streak of whatever moves fastest nearby."""

import cv2
import numpy as np

_TILE = 8  # pixels: how far a streak is noticed by its surroundings, and the coarseness of that
_LEAST_PX = 0.4  # shorter streaks are not visible
_LONGEST_PX = 16.0
_SOFT = np.float32(0.05)  # share of the depth within which two surfaces count as equally near


def motion_blurred(radiance: np.ndarray, depth: np.ndarray, streaks_px: np.ndarray) -> np.ndarray:
    """Light as a shutter gathers it that opens around the frame's own moment.

    Args:
        radiance: float32 "H W 3", linear.
        depth: float32 "H W", 0 = sky: the farthest.
        streaks_px: float32 "H W 2", movement (x, y) while the shutter is open.
    Returns: float32 "H W 3".
    Source: McGuire, Hennessy, Bukowski, Osman: A reconstruction filter for plausible motion blur (I3D 2012), with
        hard weights; where neither streaks over the other, a pixel goes on seeing what it shows.
    """
    length = np.linalg.norm(streaks_px, axis=-1)
    scale = np.minimum(1, _LONGEST_PX / np.maximum(length, _LONGEST_PX)).astype(np.float32)
    streaks, length = streaks_px * scale[..., None], length * scale
    if length.max() < _LEAST_PX:
        return radiance
    along = _fastest_nearby(streaks, length)
    reach = np.linalg.norm(along, axis=-1)
    steps = int(np.clip(np.ceil(reach.max() / 1.5), 3, 12)) | 1
    far = np.where(depth > 0, depth, np.float32(1e6))
    height, width = depth.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    half, near, beyond = 0.5 * length + 0.5, far * (1 - _SOFT), far * (1 + _SOFT)
    half_far = np.stack([half, far], axis=-1)
    total = radiance.copy()
    for share in (np.arange(steps, dtype=np.float32) - steps // 2) / np.float32(steps):
        if share == 0:
            continue
        map_x, map_y = x + share * along[..., 0], y + share * along[..., 1]
        there = cv2.remap(half_far, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        away = np.abs(share) * reach
        passes_over = (there[..., 0] >= away) & (there[..., 1] <= beyond)  # what is there streaks over here
        uncovers = (half >= away) & (there[..., 1] >= near)  # what is here moves off what is there
        seen = passes_over | uncovers
        colour = cv2.remap(radiance, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        total += np.where(seen[..., None], colour, radiance)
    return total / np.float32(steps)


def _fastest_nearby(streaks: np.ndarray, length: np.ndarray) -> np.ndarray:
    """For each pixel the longest streak in its tile and the eight around it, "H W 2"."""
    height, width = length.shape
    rows, columns = -(-height // _TILE), -(-width // _TILE)
    pad = ((0, rows * _TILE - height), (0, columns * _TILE - width))
    tiles = np.pad(length, pad).reshape(rows, _TILE, columns, _TILE).swapaxes(1, 2).reshape(rows, columns, -1)
    vectors = np.pad(streaks, (*pad, (0, 0))).reshape(rows, _TILE, columns, _TILE, 2).swapaxes(1, 2).reshape(rows, columns, -1, 2)
    best = tiles.argmax(axis=2)[..., None]
    vector = np.take_along_axis(vectors, best[..., None], axis=2)[:, :, 0]
    size = np.take_along_axis(tiles, best, axis=2)[..., 0]
    around = [np.pad(size, 1)[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    shifted = [np.pad(vector, ((1, 1), (1, 1), (0, 0)))[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    winner = np.argmax(np.stack(around), axis=0)
    chosen = np.take_along_axis(np.stack(shifted), winner[None, ..., None], axis=0)[0]
    return np.repeat(np.repeat(chosen, _TILE, axis=0), _TILE, axis=1)[:height, :width]
