"""How surfaces are turned: normals of a point map's 2 x 2 cells against those of the truth [π³ code]."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_SMALLEST, _LARGEST, _BETA = (math.radians(degrees) for degrees in (1.0, 90.0, 3.0))


def normal_loss(prediction: Tensor, truth: Tensor, usable: Tensor) -> Tensor:
    """Mean smoothed angle between predicted and true corner normals.

    Each 2 x 2 cell has four corners; a corner's normal is the cross product of the two edges that leave it. Angles are clamped to [1, 90]
    degrees, so that nothing is learned below and beyond, and smoothed: a^2 / (2 beta) below beta = 3 degrees, a - beta / 2 above. Summed
    over corners, averaged over all cells (one with unusable pixels counts 0), divided by 4 times the longer side.

    Args:
        prediction: "B T H W 3", scaled to the truth. truth: "B T H W 3"; anything where not usable.
        usable: bool "B T H W": valid, and no edge of depth.
    Returns: "B"; 0 for maps one pixel high or wide. Gradient flows to the prediction.
    """
    total = prediction.new_zeros(len(prediction))
    height, width = usable.shape[2:]
    if min(height, width) < 2:
        return total
    truth = torch.where(usable[..., None], truth, 0)
    predicted_cells, true_cells, usable_cells = (_corners(values) for values in (prediction, truth, usable))
    for corner in range(4):
        before, after = (corner - 1) % 4, (corner + 1) % 4
        counts = usable_cells[before] & usable_cells[corner] & usable_cells[after]
        normals = [torch.cross(c[before] - c[corner], c[after] - c[corner], dim=-1) for c in (predicted_cells, true_cells)]
        angle = _smoothed(_angle(*(torch.where(counts[..., None], normal, 1) for normal in normals)))
        total = total + torch.where(counts, angle, 0).flatten(1).mean(1)
    return total / (4 * max(height, width))


def depth_edges(depth: Tensor, relative: float) -> Tensor:
    """Where depth changes by more than a share of itself within 3 x 3 pixels, bool "B T H W".

    Unknown pixels take part with what they hold: 0, as readers leave it, makes their neighbours edges.

    Args:
        depth: "B T H W", of the truth.
    """
    flat = depth.flatten(0, 1)
    span = F.max_pool2d(flat, 3, stride=1, padding=1) + F.max_pool2d(-flat, 3, stride=1, padding=1)
    return ((span / flat).nan_to_num() > relative).unflatten(0, depth.shape[:2])


def _corners(values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of every cell, around it: left upper, right upper, right lower, left lower."""
    return values[:, :, :-1, :-1], values[:, :, :-1, 1:], values[:, :, 1:, 1:], values[:, :, 1:, :-1]


def _angle(first: Tensor, second: Tensor) -> Tensor:
    across = torch.linalg.cross(first, second).square().sum(-1)
    # the root's gradient is infinite at 0: keep it away from there, far below the smallest angle that counts
    length = torch.where(across > 0, across, 1).sqrt() * (across > 0)
    return torch.atan2(length + 1e-12, (first * second).sum(-1)).clamp(_SMALLEST, _LARGEST)


def _smoothed(angle: Tensor) -> Tensor:
    return torch.where(angle < _BETA, angle.square() / (2 * _BETA), angle - _BETA / 2)
