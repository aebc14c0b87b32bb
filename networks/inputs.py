"""Frames as networks are given them: a size of whole patches, and Lanczos's filter, which does not alias where a frame shrinks."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.errors import ConfigError
from pipeline.records.arrays import check_array

PIXEL_BUDGET = 255_000  # pixels of a frame, of the public inference of π³ and TrajVG


def fitted_size(aspect: float, pixels: float, *, patch: int, most_pixels: int | None = None) -> tuple[int, int]:
    """(H, W) in multiples of `patch`, near `pixels` in number and `aspect` = W / H, and of at most `most_pixels` pixels.

    A size that would exceed the most loses the row or column of patches that takes its aspect nearer to what was asked for.

    Args:
        most_pixels: `pixels` by default.
    Raises: ConfigError if not even one patch is allowed.
    Source: the inference of π³ and TrajVG.
    """
    most = pixels if most_pixels is None else most_pixels
    if most < patch * patch:
        raise ConfigError(f"a frame of at most {most:g} pixels holds no patch of {patch} x {patch}; allow {patch * patch} or more")
    columns = max(round(math.sqrt(pixels * aspect) / patch), 1)
    rows = max(round(math.sqrt(pixels / aspect) / patch), 1)
    while columns * rows * patch**2 > most:
        if rows == 1 or (columns > 1 and columns / rows > aspect):
            columns -= 1
        else:
            rows -= 1
    return rows * patch, columns * patch


def resize_frames(frames: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Frames at another size, each by Pillow's Lanczos filter.

    Args:
        frames: uint8 "T H W 3".
        size: (H', W').
    Returns: uint8 "T H' W' 3"; the frames themselves where the size is theirs.
    Source: the public inference of π³ and TrajVG resizes so.
    """
    check_array("frames", frames, "uint8", (None, None, None, 3))
    if frames.shape[1:3] == size:
        return frames
    return np.stack([_resized(frame, size) for frame in frames]) if len(frames) else np.zeros((0, *size, 3), np.uint8)


def _resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))
