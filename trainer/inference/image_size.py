"""The size at which a model sees a video."""

import math

from pipeline.errors import ConfigError

PIXEL_BUDGET = 255_000  # pixels of a frame, of the public inference


def fitted_size(height: int, width: int, *, pixel_budget: int = PIXEL_BUDGET, patch: int = 14) -> tuple[int, int]:
    """(H, W) in multiples of `patch`, near the aspect of the frames and of at most `pixel_budget` pixels; small frames are enlarged.

    Raises: ConfigError if the budget is below one patch.
    Source: the inference of π³ and TrajVG.
    """
    if pixel_budget < patch * patch:
        raise ConfigError(f"a frame of at most {pixel_budget} pixels holds no patch of {patch} x {patch}; allow {patch * patch} or more")
    scale = math.sqrt(pixel_budget / (width * height))
    columns, rows = max(round(width * scale / patch), 1), max(round(height * scale / patch), 1)
    while patch * patch * columns * rows > pixel_budget:
        if columns / rows > width / height and columns > 1 or rows == 1:
            columns -= 1
        else:
            rows -= 1
    return rows * patch, columns * patch
