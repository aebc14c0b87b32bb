"""The size at which a network sees an image: whole patches, near an aspect and a number of pixels."""

import math

from pipeline.errors import ConfigError

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
