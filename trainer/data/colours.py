"""Changes of colour: one 3 x 4 matrix per clip, so that what has one colour in all frames keeps having one."""

import math

import cv2
import numpy as np

from trainer.data.config import AugmentConfig

_LUMA = np.array([0.299, 0.587, 0.114])
_MID_GREY = 127.5


def draw_colour_matrix(augment: AugmentConfig, draw: np.random.Generator) -> np.ndarray:
    """A change of brightness, contrast, saturation and hue within the configured limits, float64 "3 4"."""
    brightness, contrast, saturation = (
        1 + draw.uniform(-limit, limit) for limit in (augment.brightness, augment.contrast, augment.saturation)
    )
    hue = math.radians(draw.uniform(-augment.hue_degrees, augment.hue_degrees))
    return colour_matrix(brightness, contrast, saturation, hue)


def colour_matrix(brightness: float, contrast: float, saturation: float, hue: float) -> np.ndarray:
    """What takes a colour (r, g, b, 1), 0 to 255, to its changed one, float64 "3 4".

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
    """Frames, uint8 "T H W 3", with every colour changed; what leaves 0 to 255 is clipped."""
    num_frames, height, width, _ = frames.shape
    if np.array_equal(matrix, np.eye(3, 4)):
        return frames
    return cv2.transform(frames.reshape(num_frames * height, width, 3), matrix).reshape(frames.shape)
