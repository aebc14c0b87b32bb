"""Coordinates as waves: each, then sines and cosines of 16 octaves."""

import math

import torch
from torch import Tensor

_OCTAVES = (-2, 13)  # frequencies 2^-2 to 2^13


def encoding_size(dimensions: int) -> int:
    """Channels of the encoding of a vector."""
    return dimensions * (1 + 2 * (_OCTAVES[1] - _OCTAVES[0] + 1))


def positional_encoding(coordinates: Tensor) -> Tensor:
    """ "... D" to float32 "... 33D": coordinates, sines, cosines, octave by octave, within an octave coordinate by coordinate.

    The cosine is the sine of a quarter turn more, as in the public code: in float32 that differs at high octaves, where rounding of the
    coordinates is multiplied by 8192 already.
    """
    octaves = torch.arange(_OCTAVES[0], _OCTAVES[1] + 1, device=coordinates.device, dtype=coordinates.dtype)
    phases = (coordinates[..., None, :] * torch.exp2(octaves)[:, None]).flatten(-2)
    return torch.cat([coordinates, phases.sin(), (phases + math.pi / 2).sin()], dim=-1)
