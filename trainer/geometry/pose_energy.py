"""Reprojection energy of static points over camera poses, with its Gauss-Newton system.

Track4World, appendix F: E = sum over ordered pairs of frames t, t' and points i of w_i rho(|pi(K_t', T_t' T_t^-1 X_ti) - p_t'i|), where
X_ti is the point that frame t's depth gives a static track, p_t'i where frame t' sees it, and rho Huber's penalty. Poses alone are free.

A pose T is world-to-camera. It may be a similarity, [[s R, t], [0, 1]]: s is then the factor by which the frame's depth is too large.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trainer.geometry.cameras import cross_matrix

_NEAREST = 1e-3  # of the median depth: where projections are clamped
_ENTRIES_AT_ONCE = 2**17  # source frames x target frames x points
_ASKED_FRAMES = 32


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StaticTracks:
    """N points that stand still in the world, as T cameras see them. float64; pixels are (x, y), integers centres."""

    points: Tensor  # "T N 3", in each frame's camera; finite, and meaningless where not `lifted`
    pixels: Tensor  # "T N 2"
    lifted: Tensor  # bool "T N": seen, and at a known depth
    seen: Tensor  # bool "T N"
    weights: Tensor  # "N", not negative
    intrinsics: Tensor  # "T 3 3"

    def of_frames(self, frames: Tensor | slice) -> "StaticTracks":
        """The same points in some of the frames."""
        names = ("points", "pixels", "lifted", "seen", "intrinsics")
        return replace(self, **{name: getattr(self, name)[frames] for name in names})

    def shared(self) -> Tensor:
        """Numbers of points, "T T": known in space by the row's frame, and seen by the column's."""
        counted = self.weights > 0
        return (self.lifted & counted).double() @ (self.seen & counted).double().T


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PoseSystem:
    """Energy and normal equations at some poses, in motions applied after them: rotation vector, translation, logarithm of the scale."""

    energy: float
    gradient: Tensor  # "T D", D = 6, or 7 with scales
    hessian: Tensor  # "T D T D", Gauss-Newton with Huber's weights


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Residuals of some source frames S in all target frames."""

    sources: slice
    motion: Tensor  # "S T 4 4", from source to target
    camera: Tensor  # "S T N 3", points in the target's camera
    depth: Tensor  # "S T N", clamped
    residual: Tensor  # "S T N 2"
    size: Tensor  # "S T N"
    weight: Tensor  # "S T N", 0 where a pair does not see the point


def pose_energy(tracks: StaticTracks, poses: Tensor, huber_px: float) -> float:
    """E at poses "T 4 4"."""
    return sum(float(_penalty(block, huber_px).sum()) for block in _blocks(tracks, poses))


def pose_system(tracks: StaticTracks, poses: Tensor, huber_px: float, *, with_scales: bool = False) -> PoseSystem:
    """E and its normal equations at poses "T 4 4"."""
    num_frames, degrees = len(poses), 7 if with_scales else 6
    energy, products, motions = 0.0, [], []
    for block in _blocks(tracks, poses):
        energy += float(_penalty(block, huber_px).sum())
        robust = block.weight * (huber_px / block.size.clamp_min(huber_px))  # Huber's weight: 1 within the width, then 1 / error
        rows = torch.cat([_target_rows(tracks, block)[..., :degrees], block.residual[..., None]], dim=-1)
        rows = (rows * robust.sqrt()[..., None, None]).flatten(2, 3)
        products.append(rows.mT @ rows)  # "S T D+1 D+1"
        motions.append(block.motion)
    product, adjoint = torch.cat(products), _adjoint(torch.cat(motions))[..., :degrees, :degrees]
    by_target, pull = product[..., :degrees, :degrees], product[..., :degrees, degrees:]
    # A motion of the source moves the point as the opposite motion, carried over to the target's camera, of the target would.
    crossed = by_target @ adjoint
    gradient = pull.sum(0)[..., 0] - (adjoint.mT @ pull).sum(1)[..., 0]
    hessian = poses.new_zeros(num_frames, degrees, num_frames, degrees)
    diagonal = torch.arange(num_frames)
    hessian[diagonal, :, diagonal] += by_target.sum(0) + (adjoint.mT @ crossed).sum(1)
    off = crossed.permute(1, 2, 0, 3)  # "target D source D"
    hessian -= off + off.permute(2, 3, 0, 1)
    return PoseSystem(energy=energy, gradient=gradient, hessian=hessian)


def moved_poses(poses: Tensor, motions: Tensor) -> Tensor:
    """Poses "T 4 4" after motions "T D"."""
    change = torch.eye(4, dtype=poses.dtype, device=poses.device).repeat(len(poses), 1, 1)
    scale = motions[:, 6].exp() if motions.shape[1] > 6 else torch.ones_like(motions[:, 0])
    change[:, :3, :3] = scale[:, None, None] * torch.linalg.matrix_exp(cross_matrix(motions[:, :3]))
    change[:, :3, 3] = motions[:, 3:6]
    return change @ poses


def frame_errors(tracks: StaticTracks, poses: Tensor) -> Tensor:
    """Median distance in pixels of where each frame sees points from where other frames' points project to, "T"; NaN where none.

    Of long clips up to 32 other frames are asked, evenly spread.
    """
    step = -(-len(poses) // _ASKED_FRAMES)
    found = []
    for block in _blocks(tracks, poses):
        asked = torch.arange(len(poses))[block.sources] % step == 0
        found.append(torch.where(block.weight > 0, block.size, torch.nan)[asked])
    return torch.cat(found).transpose(0, 1).flatten(1).nanmedian(dim=1).values


def _blocks(tracks: StaticTracks, poses: Tensor) -> Iterator[_Block]:
    num_frames, num_points = tracks.seen.shape
    nearest = _NEAREST * float(tracks.points[..., 2][tracks.lifted].median()) if bool(tracks.lifted.any()) else _NEAREST
    back = torch.linalg.inv(poses)
    at_once = max(1, _ENTRIES_AT_ONCE // max(1, num_frames * num_points))
    for first in range(0, num_frames, at_once):
        sources = slice(first, min(first + at_once, num_frames))
        motion = poses[None] @ back[sources, None]
        camera = tracks.points[sources, None] @ motion[..., :3, :3].mT + motion[..., None, :3, 3]
        depth = camera[..., 2].clamp_min(nearest)
        projected = (camera[..., :2] / depth[..., None]) @ tracks.intrinsics[:, :2, :2].mT + tracks.intrinsics[:, None, :2, 2]
        counted = tracks.lifted[sources, None] & tracks.seen[None]
        counted &= (torch.arange(num_frames)[sources, None] != torch.arange(num_frames))[..., None].to(counted.device)
        residual = torch.where(counted[..., None], projected - tracks.pixels, 0)
        yield _Block(sources, motion, camera, depth, residual, residual.norm(dim=-1), counted * tracks.weights)


def _penalty(block: _Block, huber_px: float) -> Tensor:
    """Weighted penalties, "S T N"."""
    size = block.size
    return block.weight * torch.where(size > huber_px, huber_px * (size - huber_px / 2), size.square() / 2)


def _target_rows(tracks: StaticTracks, block: _Block) -> Tensor:
    """Derivatives of the residuals "S T N 2 7" by a motion of the target frame; no change with z where depth is clamped."""
    plane = block.camera.new_zeros(*block.camera.shape[:-1], 2, 3)
    plane[..., 0, 0] = plane[..., 1, 1] = 1 / block.depth
    plane[..., 2] = torch.where(
        (block.camera[..., 2] == block.depth)[..., None], -block.camera[..., :2] / block.depth.square()[..., None], 0
    )
    by_point = tracks.intrinsics[:, None, :2, :2] @ plane
    camera = block.camera[..., None, :]
    turned = torch.linalg.cross(camera.expand_as(by_point), by_point)
    return torch.cat([turned, by_point, (by_point * camera).sum(-1, keepdim=True)], dim=-1)


def _adjoint(motion: Tensor) -> Tensor:
    """The motion of the target's camera that does what a motion of the source's does: "... 7 7" of similarities "... 4 4"."""
    linear, shift = motion[..., :3, :3], motion[..., :3, 3]
    rotation = linear / torch.linalg.det(linear)[..., None, None].pow(1 / 3)
    adjoint = motion.new_zeros(*motion.shape[:-2], 7, 7)
    adjoint[..., :3, :3], adjoint[..., 3:6, 3:6] = rotation, linear
    adjoint[..., 3:6, :3] = cross_matrix(shift) @ rotation
    adjoint[..., 3:6, 6], adjoint[..., 6, 6] = -shift, 1
    return adjoint
