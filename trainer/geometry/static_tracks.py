"""Tracks lifted by depth to points in each frame's camera, and which of them stand still in the world."""

import torch
from torch import Tensor

from trainer.geometry.cameras import transform_points
from trainer.geometry.maps import in_image, sample_maps
from trainer.geometry.pose_energy import StaticTracks

DEPTH_EDGE = 0.04  # relative difference of depth between neighbouring pixels, above which they are of two surfaces
_FEWEST_FRAMES = 3  # in which a track must have a point before its displacement says something


def sample_depth(depth: Tensor, pixels: Tensor) -> Tensor:
    """Depth at pixels, bilinear in 1 / depth, which is linear on planes.

    Args:
        depth: "T H W", 0 where unknown.
        pixels: "T N 2", (x, y), integers centres; finite.
    Returns: float64 "T N"; 0 outside the image, and where one of the four pixels around is unknown or on another surface than the others.
    Source: the threshold of 4 % is that of Track4World's cleaned masks.
    """
    height, width = depth.shape[1:]
    low = pixels.floor().long()
    frame = torch.arange(len(depth), device=depth.device)[:, None]
    corners = [
        depth[frame, (low[..., 1] + down).clamp(0, height - 1), (low[..., 0] + right).clamp(0, width - 1)]
        for down in (0, 1)
        for right in (0, 1)
    ]
    around = torch.stack(corners, dim=-1)
    nearest, farthest = around.amin(-1), around.amax(-1)
    sound = in_image(pixels, (height, width)) & (nearest > 0) & (farthest - nearest <= DEPTH_EDGE * nearest)
    inverse = torch.where(depth > 0, 1 / depth.clamp_min(torch.finfo(depth.dtype).tiny), 0).double()
    sampled = sample_maps(inverse[None, ..., None], pixels.double()[None])[0, ..., 0]
    return torch.where(sound, 1 / torch.where(sound, sampled, 1), 0)


def lift_pixels(pixels: Tensor, depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Points "T N 3" in each frame's camera of pixels "T N 2" at depths "T N"; intrinsics "T 3 3"."""
    rays = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1) @ torch.linalg.inv(intrinsics).mT
    return rays * depth[..., None]


def lift_tracks(pixels: Tensor, visibility: Tensor, depth: Tensor, intrinsics: Tensor, weights: Tensor) -> StaticTracks:
    """Tracks as the observations that a refinement takes.

    Args:
        pixels: "T N 2". visibility: bool "T N". intrinsics: "T 3 3". weights: "N", of a track.
        depth: "T N", as `sample_depth` gives it.
    """
    pixels, depth, intrinsics = pixels.double(), depth.double(), intrinsics.double()
    return StaticTracks(
        points=lift_pixels(pixels, depth, intrinsics),
        pixels=pixels,
        lifted=visibility & (depth > 0),
        seen=visibility,
        weights=weights.double(),
        intrinsics=intrinsics,
    )


def static_by_mask(moving: Tensor, pixels: Tensor, visibility: Tensor) -> Tensor:
    """Tracks all visible positions of which fall on pixels that do not move: bool "N".

    Args:
        moving: bool "T H W". pixels: "T N 2". visibility: bool "T N". One that is never seen in the image is not static.
    """
    height, width = moving.shape[1:]
    nearest = pixels.round().long()
    seen = visibility & in_image(pixels, (height, width))
    frame = torch.arange(len(moving), device=moving.device)[:, None]
    on_moving = moving[frame, nearest[..., 1].clamp(0, height - 1), nearest[..., 0].clamp(0, width - 1)]
    return ~(on_moving & seen).any(0) & seen.any(0)


def static_by_displacement(tracks: StaticTracks, poses: Tensor, share: float) -> Tensor:
    """Tracks whose points stay in place in the world, as far as poses and depth are right: bool "N".

    The median over frames of the distance from the track's median place must be at most `share` of the track's median depth; tracks with
    a point in fewer than three frames are not static.

    Args:
        poses: "T 4 4", world to camera.
    Source: Track4World, appendix F, in place of a mask of what moves.
    """
    unknown = ~tracks.lifted[..., None]
    world = transform_points(torch.linalg.inv(poses), tracks.points).masked_fill(unknown, torch.nan)
    distance = (world - world.nanmedian(dim=0).values).norm(dim=-1).nanmedian(dim=0).values
    depth = tracks.points[..., 2:].masked_fill(unknown, torch.nan)[..., 0].nanmedian(dim=0).values
    return (distance <= share * depth) & (tracks.lifted.sum(0) >= _FEWEST_FRAMES)
