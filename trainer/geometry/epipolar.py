"""Two views of a rigid scene: fundamental matrices of known cameras, and how far correspondences are from them."""

import torch
from torch import Tensor

from trainer.geometry.rigid import invert_rigid

_TINY = 1e-24  # squared pixels


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


def turned_pixels(camera_to_world: Tensor, intrinsics: Tensor, pixels: Tensor, anchor: int) -> Tensor:
    """Where the anchor frame's pixels lie in every frame if the camera only turned: K_t R K_x^-1 (q_x, 1).

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


def point_map_intrinsics(point_maps: Tensor) -> Tensor:
    """Pinhole intrinsics that explain point maps best: one focal length per frame, principal point in the middle of the image.

    The focal length minimises the squared distance in pixels between where a point lies and where it projects to, points behind the
    camera left out.

    Args:
        point_maps: "B T H W 3", camera frame of each map.
    Returns: "B T 3 3"; detached. The focal length is the longer side where no point is in front of the camera.
    """
    points = point_maps.detach()
    height, width = points.shape[2:4]
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2], device=points.device, dtype=points.dtype)
    y, x = torch.meshgrid(*(torch.arange(n, device=points.device, dtype=points.dtype) for n in (height, width)), indexing="ij")
    places = torch.stack([x, y], dim=-1) - middle
    front = points[..., 2:] > 1e-6
    directions = torch.where(front, points[..., :2] / torch.where(front, points[..., 2:], 1), 0)
    products, squares = ((directions * other).sum(dim=(2, 3, 4)) for other in (places, directions))
    focal = torch.where(squares > 0, products / torch.where(squares > 0, squares, 1), max(height, width))
    intrinsics = torch.zeros(*focal.shape, 3, 3, device=points.device, dtype=points.dtype)
    intrinsics[..., 0, 0] = intrinsics[..., 1, 1] = focal
    intrinsics[..., :2, 2] = middle
    intrinsics[..., 2, 2] = 1
    return intrinsics
