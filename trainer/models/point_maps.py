"""From what the dense heads give to points, and from cameras to the world."""

import torch
from torch import Tensor

MAX_LOG_DEPTH = 15.0  # TrajVG's clamp: e^15 is 3.3 million


def decode_points(xy: Tensor, log_depth: Tensor) -> Tensor:
    """(x', y', z') to (x' z, y' z, z) with z = exp(z').

    Args:
        xy: "... 2".
        log_depth: "... 1".
    Returns: "... 3".
    """
    depth = log_depth.exp()
    return torch.cat([xy * depth, depth], dim=-1)


def camera_to_world(points: Tensor, poses: Tensor) -> Tensor:
    """Points of each frame's camera in the world: R p + t.

    Args:
        points: "B T ... 3".
        poses: "B T 4 4", camera to world.
    Returns: "B T ... 3". Gradient flows to both.
    """
    flat = points.flatten(2, -2)  # "B T K 3"
    return (flat @ poses[..., :3, :3].mT + poses[..., None, :3, 3]).unflatten(2, points.shape[2:-1])
