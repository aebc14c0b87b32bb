"""What a token knows of time and of motion."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

NUM_SCALES = 10
MOTION = 4 + 2 * 4 * NUM_SCALES  # 84


def time_embedding(length: int, width: int) -> Tensor:
    """float32 "1 length width": row k holds sin(k w_j), then cos(k w_j), with w_j = 10000^(-j / (width / 2)); computed in float64."""
    half = width // 2
    frequencies = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1).float()[None]


def resample_time(embedding: Tensor, length: int) -> Tensor:
    """Stretch "1 S C" over `length` frames, linear between half-pixel centres; S frames take it as it is."""
    if embedding.shape[1] == length:
        return embedding
    return F.interpolate(embedding.mT, length, mode="linear", align_corners=False).mT


def relative_motion(positions: Tensor, scale: Tensor) -> Tensor:
    """Motion to the next and from the previous frame, 0 at the ends.

    Args:
        positions: "... T 2" in cells.
        scale: (2,), cells across and down of the model's resolution.
    Returns: "... T 4", (p[t] - p[t+1], p[t] - p[t-1]) / scale.
    """
    step = (positions[..., 1:, :] - positions[..., :-1, :]) / scale
    return torch.cat([F.pad(-step, (0, 0, 0, 1)), F.pad(step, (0, 0, 1, 0))], -1)


def encode_motion(motion: Tensor) -> Tensor:
    """ "... 4" to "... 84": the motion, the sines of its multiples by 2^0..2^9 (scale-major), and the sines of those plus pi/2."""
    scales = 2.0 ** torch.arange(NUM_SCALES, device=motion.device, dtype=motion.dtype)
    angles = (motion.unsqueeze(-2) * scales[:, None]).flatten(-2)
    return torch.cat([motion, torch.sin(angles), torch.sin(angles + 0.5 * math.pi)], -1)
