"""Frames as networks are given them: a size of whole patches, and Lanczos's filter, which does not alias where a frame shrinks."""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from pipeline.errors import ConfigError
from pipeline.records.arrays import check_array

PIXEL_BUDGET = 255_000  # pixels of a frame, of the public inference of π³ and TrajVG
_LOBES = 3


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
    """Frames at another size: first along the rows, then along the columns, each rounded to whole values.

    Args:
        frames: uint8 "T H W 3".
        size: (H', W').
    Returns: uint8 "T H' W' 3"; the frames themselves where the size is theirs.
    Source: the Lanczos filter of Pillow, by which the public inference of π³ and TrajVG resizes; equal to it up to 1 in one of 10,000
        values where both axes shrink, or both grow.
    """
    check_array("frames", frames, "uint8", (None, None, None, 3))
    if frames.shape[1:3] == size:
        return frames
    return np.stack([_resized(frame, size) for frame in frames]) if len(frames) else np.zeros((0, *size, 3), np.uint8)


def _resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = frame.shape[:2]
    narrowed = _along_first(frame.transpose(1, 0, 2), _filter(width, size[1])).transpose(1, 0, 2) if width != size[1] else frame
    return _along_first(narrowed, _filter(height, size[0])) if height != size[0] else narrowed


def _along_first(picture: np.ndarray, weights: csr_matrix) -> np.ndarray:
    """ "L ..." to "L' ..." by weights "L' L", uint8."""
    flat = weights @ picture.reshape(len(picture), -1).astype(np.float32)
    return np.clip(np.floor(flat + 0.5), 0, 255).astype(np.uint8).reshape(-1, *picture.shape[1:])


@lru_cache(maxsize=8)
def _filter(length: int, new_length: int) -> csr_matrix:
    """Weights "L' L" of the old pixels in the new ones; every row sums to 1."""
    stretch = length / new_length
    width = max(stretch, 1.0)
    rows, columns, values = [], [], []
    for place in range(new_length):
        centre = (place + 0.5) * stretch
        first = max(math.floor(centre - _LOBES * width + 0.5), 0)
        taps = np.arange(first, min(math.floor(centre + _LOBES * width + 0.5), length))
        distance = (taps + 0.5 - centre) / width
        weight = np.where(np.abs(distance) < _LOBES, np.sinc(distance) * np.sinc(distance / _LOBES), 0.0)
        rows.append(np.full(len(taps), place))
        columns.append(taps)
        values.append(weight / weight.sum())
    indices = (np.concatenate(rows), np.concatenate(columns))
    return csr_matrix((np.concatenate(values).astype(np.float32), indices), shape=(new_length, length))
