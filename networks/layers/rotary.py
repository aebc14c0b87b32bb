"""Rotary positions in two dimensions: the first half of a head's channels turns with y, the second with x."""

import torch
from torch import Tensor


def token_positions(rows: int, columns: int, *, num_registers: int, device: torch.device) -> Tensor:
    """(y, x) of a frame's tokens: registers stand at (0, 0), the patch in row r and column c at (r + 1, c + 1).

    Returns: int64 "L 2", L = num_registers + rows * columns, registers first, patches row by row.
    """
    y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    patches = torch.stack([y, x], dim=-1).flatten(0, 1) + 1
    return torch.cat([patches.new_zeros(num_registers, 2), patches])


def rotary_angles(positions: Tensor, *, head_size: int, frequency: float) -> Tensor:
    """Angle of every channel: position * frequency^(-2j/D), j < D/2, D = head_size / 2; both channels of a pair have the same.

    Args:
        positions: "L 2", (y, x).
        head_size: channels of a head, a multiple of 4.
        frequency: base of the geometric row.
    Returns: float32 "L head_size", radians.
    """
    half = head_size // 2
    exponents = torch.arange(0, half, 2, device=positions.device, dtype=torch.float32) / half
    angles = positions.float()[..., None] * (1.0 / frequency**exponents)  # "L 2 D/2"
    return torch.cat([angles, angles], dim=-1).flatten(-2)


def rotate(tokens: Tensor, angles: Tensor) -> Tensor:
    """Turn each channel pair (j, j + D/2) of either half by its angle.

    Args:
        tokens: "... L d".
        angles: float32 "L d". Cosine and sine are taken in the tokens' dtype, as the public weights were trained: bfloat16 rounds angles.
    Returns: "... L d".
    """
    angles = angles.to(tokens.dtype)
    halves = tokens.unflatten(-1, (2, 2, -1))  # y or x, first or second of the pair, D/2
    turned = torch.stack([-halves[..., 1, :], halves[..., 0, :]], dim=-2).flatten(-3)
    return tokens * angles.cos() + turned * angles.sin()
