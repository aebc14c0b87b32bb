"""Frames with pictures of the same size beside them, and a bar for their legend."""

import numpy as np

GROUND = (24, 25, 29)
GAP, BAR_HEIGHT = 8, 30


def beside(frames: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Frames uint8 "T H W 3" with pictures uint8 "T H W 3" to their right (below, where they are wide), a gap between."""
    num_frames, height, width, _ = frames.shape
    axis = 2 if width <= 1.5 * height else 1
    gap = np.full((num_frames, height, GAP, 3) if axis == 2 else (num_frames, GAP, width, 3), GROUND, np.uint8)
    return np.concatenate([frames, gap, pictures], axis=axis)


def empty_bar(width: int) -> np.ndarray:
    """A bar uint8 "30 W 3" to draw a legend into, with its baseline at `BAR_HEIGHT - 10`."""
    return np.full((BAR_HEIGHT, width, 3), GROUND, np.uint8)


def above_bar(frames: np.ndarray, bar: np.ndarray) -> np.ndarray:
    """Frames uint8 "T H W 3" with a bar "h W 3" below each."""
    return np.concatenate([frames, np.broadcast_to(bar, (len(frames), *bar.shape))], axis=1)
