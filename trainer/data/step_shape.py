"""How long and how large the clips of a step are, and its random draws: functions of the seed and the step alone."""

import math
from dataclasses import dataclass

import numpy as np

from networks.inputs import fitted_size
from trainer.data.config import ShapeConfig

_SHAPE, _CLIP = 1, 2  # keep the two kinds of draws apart


@dataclass(frozen=True, kw_only=True, slots=True)
class StepShape:
    """T frames of H x W pixels, the same on all ranks."""

    frames: int
    height: int
    width: int


def step_shape(config: ShapeConfig, seed: int, step: int, *, patch: int) -> StepShape:
    """The shape of one step's clips.

    Args:
        patch: pixels of the network's patch: sides are multiples of it.
    """
    draw = np.random.default_rng([seed, _SHAPE, step])
    least, most = config.frames
    frames = least + int(draw.integers(most - least + 1))
    pixels = draw.uniform(*config.pixels)
    aspect = math.exp(draw.uniform(math.log(config.aspect[0]), math.log(config.aspect[1])))
    height, width = fitted_size(aspect, pixels, patch=patch, most_pixels=config.pixels[1])
    return StepShape(frames=frames, height=height, width=width)


def clip_draws(seed: int, step: int, side: int, place: int) -> np.random.Generator:
    """The draws of one clip of a step.

    Args:
        side: 0 for labelled, 1 for pseudo.
        place: of the clip among those of all ranks, so that two ranks draw what one with twice the clips would.
    """
    return np.random.default_rng([seed, _CLIP, step, side, place])
