"""Rigid motions as 4 x 4 matrices, and the epipolar geometry of two cameras.

Products are taken in the precision of their inputs, also inside autocast: a pose in bfloat16 is wrong by centimetres.
"""

import torch
from torch import Tensor

_TINY = 1e-24  # squared pixels


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


def cross_matrix(vectors: Tensor) -> Tensor:
    """ "... 3" to the matrices "... 3 3" with [v]x w = v x w."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def fundamental_matrices(camera_to_world: Tensor, intrinsics: Tensor, anchor: int) -> Tensor:
    """F_t between the anchor frame x and every frame t: (q_t, 1)^T F_t (q_x, 1) = 0 for a static point.

    Args:
        camera_to_world: "B T 4 4".
        intrinsics: "B T 3 3", integer pixels are centres.
    Returns:
        "B T 3 3": F_t = K_t^-T [t]x R K_x^-1 with (R, t) of C_t^-1 C_x; all zero at t = x, and wherever both cameras share their centre.
    """
    with torch.autocast(camera_to_world.device.type, enabled=False):
        motion = invert_rigid(camera_to_world) @ camera_to_world[:, anchor, None]
        essential = cross_matrix(motion[..., :3, 3]) @ motion[..., :3, :3]
        back = torch.linalg.inv(intrinsics)
        fundamental = back.mT @ essential @ back[:, anchor, None]
    same = torch.arange(fundamental.shape[1], device=fundamental.device) == anchor
    return fundamental.masked_fill(same[:, None, None], 0)


def sampson_squared(fundamental: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Squared first-order distance of correspondences from the epipolar geometry, squared pixels.

    (b' F a)^2 / ((F a)_1^2 + (F a)_2^2 + (F' b)_1^2 + (F' b)_2^2); 0 where F is 0, for then every pair obeys it.

    Args:
        fundamental: "... 3 3".
        before, after: "... N 2", a in the first image and b in the second.
    Returns: "... N".
    """
    with torch.autocast(fundamental.device.type, enabled=False):
        a, b = (torch.cat([points, torch.ones_like(points[..., :1])], dim=-1) for points in (before, after))
        lines_after, lines_before = a @ fundamental.mT, b @ fundamental
    scale = lines_after[..., :2].square().sum(-1) + lines_before[..., :2].square().sum(-1)
    return (b * lines_after).sum(-1).square() / scale.clamp_min(_TINY)


def rotate_pixels(camera_to_world: Tensor, intrinsics: Tensor, pixels: Tensor, anchor: int) -> Tensor:
    """The anchor frame's pixels in every frame, had the camera only turned: K_t R K_x^-1 (q_x, 1).

    Args:
        camera_to_world: "B T 4 4". intrinsics: "B T 3 3". pixels: "B N 2", in frame x.
    Returns: "B T N 2"; a point that turns behind the camera comes out infinitely far away.
    """
    with torch.autocast(pixels.device.type, enabled=False):
        rotation = camera_to_world[..., :3, :3].mT @ camera_to_world[:, anchor, None, :3, :3]
        homography = intrinsics @ rotation @ torch.linalg.inv(intrinsics)[:, anchor, None]
        rays = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)[:, None] @ homography.mT
    depth = rays[..., 2:]
    infinite = torch.full_like(rays[..., :2], float("inf"))
    return torch.where(depth > 0, rays[..., :2] / torch.where(depth > 0, depth, 1), infinite)
