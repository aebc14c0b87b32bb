"""Rigid motions as 4 x 4 matrices: inverse, motion to an anchor camera, and what they do to points.

Products are taken in the precision of their inputs, also inside autocast: a pose in bfloat16 is wrong by centimetres.
"""

import torch
from torch import Tensor


def transform_points(motion: Tensor, points: Tensor) -> Tensor:
    """R p + t, the upper three rows of M Hom(p).

    Args:
        motion: "... 4 4", rigid.
        points: "... N 3".
    Returns: "... N 3". Gradient flows to both; callers detach.
    """
    with torch.autocast(points.device.type, enabled=False):
        return points @ motion[..., :3, :3].mT + motion[..., None, :3, 3]


def invert_rigid(motion: Tensor) -> Tensor:
    """Inverse of "... 4 4" by R^T and -R^T t. Gradient flows; that of the rotation is the gradient of R^T, not of a matrix inverse."""
    with torch.autocast(motion.device.type, enabled=False):
        back = motion[..., :3, :3].mT
        return assemble_rigid(back, -(back @ motion[..., :3, 3:])[..., 0])


def assemble_rigid(rotation: Tensor, translation: Tensor) -> Tensor:
    """ "... 4 4" of rotations "... 3 3" and translations "... 3"."""
    upper = torch.cat([rotation, translation[..., None]], dim=-1)
    last = torch.tensor([0, 0, 0, 1], device=upper.device, dtype=upper.dtype).expand(*upper.shape[:-2], 1, 4)
    return torch.cat([upper, last], dim=-2)


def motion_to_anchor(camera_to_world: Tensor, anchor: int) -> Tensor:
    """From each frame's camera to that of the anchor frame x: C_{t->x} = C_x^-1 C_t.

    Args:
        camera_to_world: "B T 4 4", rigid.
        anchor: x, in [0, T).
    Returns:
        "B T 4 4". Gradient flows to C_t and to C_x, except in row x, which is the identity and a constant.
    Source: TrajVG eq. (1).
    """
    with torch.autocast(camera_to_world.device.type, enabled=False):
        motion = invert_rigid(camera_to_world[:, anchor])[:, None] @ camera_to_world
    same = torch.arange(motion.shape[1], device=motion.device) == anchor
    identity = torch.eye(4, device=motion.device, dtype=motion.dtype)
    return torch.where(same[:, None, None], identity, motion)


def scale_motion(motion: Tensor, scale: Tensor) -> Tensor:
    """Translations of "B T 4 4" times one factor per clip, "B"; rotations stay."""
    return assemble_rigid(motion[..., :3, :3], motion[..., :3, 3] * scale[:, None, None])


def rotation_angle(first: Tensor, second: Tensor) -> Tensor:
    """Angle between rotations "... 3 3", radians, "...": acos((tr(A^T B) - 1) / 2).

    The cosine is clamped to 1e-6 inside of [-1, 1], so that the gradient is finite, and zero for angles below 1.4e-3 (float32 and wider).
    """
    cosine = ((first * second).sum(dim=(-2, -1)) - 1) / 2  # tr(A^T B) is the sum of the entries' products
    return torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
