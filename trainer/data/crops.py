"""Which rectangle of a clip a step sees."""

from dataclasses import replace

import numpy as np

from trainer.data.clip_views import Crop


def draw_crop(stored: tuple[int, int], size: tuple[int, int], side: tuple[float, float], draw: np.random.Generator) -> Crop:
    """A rectangle of the step's aspect, anywhere in the clip.

    Args:
        stored, size: (H, W) of the clip and of the step.
        side: (least, most) of the rectangle's side, as a share of the largest that fits.
    """
    share = draw.uniform(*side)
    height, width = (max(round(share * length), 1) for length in largest_of_aspect(stored, size))
    left, top = (int(draw.integers(room + 1)) for room in (stored[1] - width, stored[0] - height))
    return Crop(left=left, top=top, width=width, height=height)


def moved_to_hold(crop: Crop, stored: tuple[int, int], place: np.ndarray) -> Crop:
    """The rectangle, moved no farther than it takes to hold the pixel on which a place (x, y) of the clip lies."""
    column, row = (int(np.clip(round(float(at)), 0, length - 1)) for at, length in zip(place, stored[::-1], strict=True))
    left = int(np.clip(crop.left, column - crop.width + 1, column))
    top = int(np.clip(crop.top, row - crop.height + 1, row))
    return replace(crop, left=left, top=top)


def largest_of_aspect(stored: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of the largest rectangle of the aspect of `size` within `stored`, rounded to whole pixels."""
    scale = min(stored[0] / size[0], stored[1] / size[1])
    height, width = (min(max(round(scale * length), 1), limit) for length, limit in zip(size, stored, strict=True))
    return height, width
