"""How long and how large the clips of a step are, and its random draws: functions of the seed and the step alone."""

import math
from dataclasses import dataclass

import numpy as np

from trainer.data.config import PATCH, ShapeConfig

_SHAPE, _CLIP = 1, 2  # keep the two kinds of draws apart


@dataclass(frozen=True, kw_only=True, slots=True)
class StepShape:
    """T frames of H x W pixels, the same on all ranks."""

    frames: int
    height: int
    width: int


def step_shape(config: ShapeConfig, seed: int, step: int) -> StepShape:
    """The shape of one step's clips.

    Sides are multiples of 14; one that would exceed the largest number of pixels loses the row or column of patches that takes its
    aspect nearer to what was drawn.
    """
    draw = np.random.default_rng([seed, _SHAPE, step])
    least, most = config.frames
    frames = least + int(draw.integers(most - least + 1))
    pixels = draw.uniform(*config.pixels)
    aspect = math.exp(draw.uniform(math.log(config.aspect[0]), math.log(config.aspect[1])))
    height, width = fitting_size(pixels, aspect, config.pixels[1])
    return StepShape(frames=frames, height=height, width=width)


def fitting_size(pixels: float, aspect: float, most_pixels: int) -> tuple[int, int]:
    """(height, width), multiples of 14, near this many pixels and this width over height, and at most `most_pixels`."""
    columns = max(round(math.sqrt(pixels * aspect) / PATCH), 1)
    rows = max(round(math.sqrt(pixels / aspect) / PATCH), 1)
    while columns * rows * PATCH**2 > most_pixels and columns * rows > 1:
        if rows == 1 or (columns > 1 and columns / rows > aspect):
            columns -= 1
        else:
            rows -= 1
    return rows * PATCH, columns * PATCH


def clip_draws(seed: int, step: int, side: int, place: int) -> np.random.Generator:
    """The draws of one clip of a step.

    Args:
        side: 0 for labelled, 1 for pseudo.
        place: of the clip among those of all ranks, so that two ranks draw what one with twice the clips would.
    """
    return np.random.default_rng([seed, _CLIP, step, side, place])
