"""Random draws of a training step: length, size and number of its clips, and of each clip window, crop and colours.

All are functions of the seed and the step alone. Colours change by one 3 x 4 matrix per clip, so that what has one colour in all
frames keeps having one.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from networks.inputs import fitted_size
from pipeline.records.pixel_transforms import Crop
from trainer.data.config import AugmentConfig, DataConfig, ShapeConfig

_SHAPE, _CLIP, _SIDES = 1, 2, 3  # keep the kinds of draws apart
_LUMA = np.array([0.299, 0.587, 0.114])
_MID_GREY = 127.5


@dataclass(frozen=True, kw_only=True, slots=True)
class StepShape:
    """T frames of H x W pixels, the same on all ranks."""

    frames: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StepClips:
    """Clips of either side in the batch of one rank, the same on all ranks."""

    labelled: int
    pseudo: int


def step_shape(config: ShapeConfig, seed: int, step: int, *, patch: int) -> StepShape:
    """The shape of one step's clips.

    Args:
        patch: pixels of the network's patch: sides are multiples of it.
    """
    frames, draw = _draw_frames(config, seed, step)
    pixels = draw.uniform(*config.pixels)
    aspect = math.exp(draw.uniform(math.log(config.aspect[0]), math.log(config.aspect[1])))
    height, width = fitted_size(aspect, pixels, patch=patch, most_pixels=config.pixels[1])
    return StepShape(frames=frames, height=height, width=width)


def _draw_frames(config: ShapeConfig, seed: int, step: int) -> tuple[int, np.random.Generator]:
    """T of a step, and the generator that its size is drawn from."""
    draw = np.random.default_rng([seed, _SHAPE, step])
    least, most = config.frames
    return least + int(draw.integers(most - least + 1)), draw


def step_clips(config: DataConfig, step: int) -> StepClips:
    """Number of one step's clips, see `shared_clips`."""
    frames, _ = _draw_frames(config.shape, config.seed, step)
    return shared_clips(config, frames, chance=np.random.default_rng([config.seed, _SIDES, step]).random())


def shared_clips(config: DataConfig, frames: int, *, chance: float) -> StepClips:
    """Clips of either side in a step of T frames.

    With `max_images` they are as many as it holds: more than half of it is used, and never more than all. A side's share of them is
    rounded up or down by chance, so that it is right over many steps; where two clips fit, each side has one at least.

    Args:
        chance: uniform in [0, 1).
    """
    labelled, pseudo = config.labelled_clips if config.labelled else 0, config.pseudo_clips if config.pseudo else 0
    if config.max_images is None:
        return StepClips(labelled=labelled, pseudo=pseudo)
    total = config.max_images // frames
    drawn = math.floor(total * labelled / (labelled + pseudo) + chance)
    if labelled and pseudo and total > 1:
        drawn = min(max(drawn, 1), total - 1)
    return StepClips(labelled=drawn, pseudo=total - drawn)


def clip_draws(seed: int, step: int, side: int, place: int) -> np.random.Generator:
    """The draws of one clip of a step.

    Args:
        side: 0 for labelled, 1 for pseudo.
        place: of the clip among those of all ranks, so that two ranks draw what one with twice the clips would.
    """
    return np.random.default_rng([seed, _CLIP, step, side, place])


def draw_window(starts: np.ndarray, num_frames: int, augment: AugmentConfig, draw: np.random.Generator) -> np.ndarray:
    """Frames of a step: the first one is drawn, the others follow it at a drawn stride.

    Args:
        starts: float "S": weight of each of the clip's S frames as the first one; not all 0.
        num_frames: T.
    Returns: int64 "T", see `strided_frames`.
    """
    first = int(draw.choice(len(starts), p=starts / starts.sum()))
    stride = int(draw.integers(augment.strides[0], augment.strides[1] + 1))
    backwards = bool(draw.random() < 0.5)
    return strided_frames(len(starts), first, num_frames, stride=stride, backwards=backwards and augment.reverse)


def strided_frames(num_stored: int, first: int, num_frames: int, *, stride: int, backwards: bool) -> np.ndarray:
    """T frames at one stride, `first` ahead of all others.

    In the direction asked for if there is room for it, else in the other one, else on both sides: then the others follow in the order of
    time. (The models know no order among the frames after the first.) The stride shrinks as far as the clip's length demands. A
    clip of fewer than T frames is taken whole, again and again.

    Args:
        num_stored: frames of the clip.
        first: in [0, num_stored).
    Returns: int64 "T"; frames differ wherever the clip has T of them.
    """
    steps = num_frames - 1
    stride = max(min(stride, (num_stored - 1) // max(steps, 1)), 1)
    room = {+1: (num_stored - 1 - first) // stride, -1: first // stride}
    ahead = -1 if backwards else +1
    for direction in (ahead, -ahead):
        if room[direction] >= steps:
            return first + direction * stride * np.arange(num_frames)
    if room[+1] + room[-1] < steps and stride > 1:
        return strided_frames(num_stored, first, num_frames, stride=stride - 1, backwards=backwards)
    before = min(room[-1], max(steps - room[+1], steps // 2))
    others = first + stride * np.arange(-before, min(room[+1], steps - before) + 1)
    order = np.concatenate([[first], others[others != first]])
    return np.resize(order, num_frames).astype(np.int64)


def draw_crop(stored: tuple[int, int], size: tuple[int, int], side: tuple[float, float], draw: np.random.Generator) -> Crop:
    """A rectangle of the step's aspect, anywhere in the clip.

    Args:
        stored, size: (H, W) of the clip and of the step.
        side: (least, most) of the rectangle's side, as a share of the largest that fits.
    """
    share = draw.uniform(*side)
    height, width = (max(round(share * length), 1) for length in largest_size_of_aspect(stored, size))
    left, top = (int(draw.integers(room + 1)) for room in (stored[1] - width, stored[0] - height))
    return Crop(left=left, top=top, width=width, height=height)


def shift_crop_onto(crop: Crop, stored: tuple[int, int], place: np.ndarray) -> Crop:
    """The rectangle, moved by the least distance such that it holds the pixel of a position (x, y) of the clip."""
    column, row = (int(np.clip(round(float(at)), 0, length - 1)) for at, length in zip(place, stored[::-1], strict=True))
    left = int(np.clip(crop.left, column - crop.width + 1, column))
    top = int(np.clip(crop.top, row - crop.height + 1, row))
    return replace(crop, left=left, top=top)


def largest_size_of_aspect(stored: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of the largest rectangle of the aspect of `size` within `stored`, rounded to whole pixels."""
    scale = min(stored[0] / size[0], stored[1] / size[1])
    height, width = (min(max(round(scale * length), 1), limit) for length, limit in zip(size, stored, strict=True))
    return height, width


def draw_colour_matrix(augment: AugmentConfig, draw: np.random.Generator) -> np.ndarray:
    """A change of brightness, contrast, saturation and hue within the configured limits, float64 "3 4"."""
    brightness, contrast, saturation = (
        1 + draw.uniform(-limit, limit) for limit in (augment.brightness, augment.contrast, augment.saturation)
    )
    hue = math.radians(draw.uniform(-augment.hue_degrees, augment.hue_degrees))
    return colour_matrix(brightness, contrast, saturation, hue)


def colour_matrix(brightness: float, contrast: float, saturation: float, hue: float) -> np.ndarray:
    """Matrix from a colour (r, g, b, 1), 0 to 255, to its changed one, float64 "3 4".

    Greys stay grey: saturation moves colours along the line to the grey of their luma, hue turns them about the grey axis.

    Args:
        brightness: factor of all. contrast: factor of the distance from mid grey. saturation: factor of the distance from grey.
        hue: radians.
    """
    grey = np.broadcast_to(_LUMA, (3, 3))
    axis = np.full(3, 1 / math.sqrt(3))
    across = np.cross(np.eye(3), axis)  # rows: the unit vectors times the axis
    turn = math.cos(hue) * np.eye(3) + math.sin(hue) * across.T + (1 - math.cos(hue)) * np.outer(axis, axis)
    linear = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * grey) @ turn
    offset = _MID_GREY * (1 - contrast)
    return np.hstack([linear, np.full((3, 1), offset)])


def recolour(frames: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Frames, uint8 "T H W 3", with every colour changed; values are clipped to 0 to 255."""
    num_frames, height, width, _ = frames.shape
    if np.array_equal(matrix, np.eye(3, 4)):
        return frames
    return cv2.transform(frames.reshape(num_frames * height, width, 3), matrix).reshape(frames.shape)
