"""Geometry below Track4World's decoder as one record, whoever made it: a backbone, or a dataset's truth; and the padding of frames."""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from networks.pi3.geometry import camera_to_world
from pipeline.errors import DataError

PATCH = 14  # pixels of a patch of tokens
_MULTIPLE = 64  # of padded sides
_SMALLEST = 1e-6
CONFIDENCE_THRESHOLD = 0.05  # of π³'s confidence after the sigmoid


@dataclass(frozen=True, kw_only=True, slots=True)
class Padding:
    """Frames of H x W pixels within padded ones, whose sides are multiples of 64: the smaller half of what is missing left and above."""

    height: int
    width: int

    @property
    def padded(self) -> tuple[int, int]:
        """(Hp, Wp)."""
        return -(-self.height // _MULTIPLE) * _MULTIPLE, -(-self.width // _MULTIPLE) * _MULTIPLE

    @property
    def backbone(self) -> tuple[int, int]:
        """(Hb, Wb): the size at which a backbone of patches of 14 sees the padded frames."""
        return self.padded[0] // PATCH * PATCH, self.padded[1] // PATCH * PATCH

    @property
    def patch_grid(self) -> tuple[int, int]:
        """(h, w): patches of the backbone's size."""
        return self.backbone[0] // PATCH, self.backbone[1] // PATCH

    def pad(self, maps: Tensor) -> Tensor:
        """Maps "... H W" to "... Hp Wp": the outermost values are repeated."""
        rows, columns = (
            torch.arange(padded, device=maps.device).sub(before).clamp(0, side - 1)
            for padded, before, side in zip(self.padded, self._before, (self.height, self.width), strict=True)
        )
        return maps[..., rows[:, None], columns]

    def crop(self, maps: Tensor) -> Tensor:
        """Maps "... Hp Wp" to "... H W"."""
        top, left = self._before
        return maps[..., top : top + self.height, left : left + self.width]

    @property
    def _before(self) -> tuple[int, int]:
        return (self.padded[0] - self.height) // 2, (self.padded[1] - self.width) // 2


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GeometryBundle:
    """Geometry of B clips of T frames, at the padded size Hp x Wp; OpenCV cameras, lengths in a unit in which points are about 1 away."""

    tokens: Tensor  # "B T R+P C": R special ones, then the patches row by row
    num_special: int  # R
    patch_grid: tuple[int, int]  # (h, w), P = h w
    points: Tensor  # float32 "B T 3 Hp Wp", in each frame's camera
    camera_poses: Tensor | None  # float32 "B T 4 4", camera to world; None: unknown, and there are no world tracks
    mask: Tensor  # float32 "B T Hp Wp", valid where above the threshold
    mask_threshold: float
    unit: Tensor | None = None  # float32 "B": length 1 of the bundle in the unit of what it was made of; None: not known

    def __post_init__(self) -> None:
        batch, size = tuple(self.points.shape[:2]), tuple(self.points.shape[-2:])
        num_tokens = self.num_special + self.patch_grid[0] * self.patch_grid[1]
        wrong = [
            f"{name} {found}, expected {expected}"
            for name, found, expected in (
                ("tokens", list(self.tokens.shape[:3]), [*batch, num_tokens]),
                ("points", list(self.points.shape), [*batch, 3, *size]),
                ("mask", list(self.mask.shape), [*batch, *size]),
                ("camera_poses", list(batch if self.camera_poses is None else self.camera_poses.shape[:2]), list(batch)),
            )
            if found != expected
        ]
        if wrong:
            raise DataError(f"geometry bundle: {'; '.join(wrong)}; make it by bundle_of_backbone or bundle_of_truth")

    @property
    def num_frames(self) -> int:
        """T."""
        return self.points.shape[1]

    def frames(self, index: Tensor | slice) -> "GeometryBundle":
        """The same, of some of its frames, in their order."""
        poses = None if self.camera_poses is None else self.camera_poses[:, index]
        return replace(self, tokens=self.tokens[:, index], points=self.points[:, index], camera_poses=poses, mask=self.mask[:, index])

    def repeat_last(self, count: int) -> "GeometryBundle":
        """The same with `count` copies of the last frame behind it."""
        return self.frames(torch.arange(self.num_frames + count, device=self.points.device).clamp_max(self.num_frames - 1))

    def poses(self) -> Tensor:
        """`camera_poses`. Raises DataError where they are unknown."""
        if self.camera_poses is None:
            raise DataError("the geometry bundle has no camera poses, which world tracks need; give poses, or take tracks in camera axes")
        return self.camera_poses


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RawGeometry:
    """What a backbone says of B clips of T frames, at its own size Hb x Wb and in its own unit."""

    tokens: Tensor  # "B T R+P C", of the last block
    num_special: int
    patch_grid: tuple[int, int]
    points: Tensor  # "B T Hb Wb 3", in each frame's camera
    confidence: Tensor | None  # "B T Hb Wb", logit; None where it was not asked for
    camera_poses: Tensor  # "B T 4 4", camera to world


def bundle_of_backbone(raw: RawGeometry, padding: Padding) -> GeometryBundle:
    """Divide lengths by the points' mean norm, over all frames and pixels without mask, and resize maps to the padded size.

    The clip is taken as it is: frames that are repeated to fill a window count in the mean.
    """
    assert raw.confidence is not None, "a bundle's mask is the backbone's confidence"
    unit = raw.points.float().norm(dim=-1).flatten(1).mean(dim=1) + _SMALLEST
    scale = unit[:, None, None]
    points = (raw.points.float() / scale[..., None, None]).permute(0, 1, 4, 2, 3)
    poses = raw.camera_poses.float().clone()
    poses[..., :3, 3] /= scale
    mask = raw.confidence.float().sigmoid()[:, :, None]
    return GeometryBundle(
        tokens=raw.tokens,
        num_special=raw.num_special,
        patch_grid=raw.patch_grid,
        points=_resize(points, padding.padded),
        camera_poses=poses,
        mask=_resize(mask, padding.padded)[:, :, 0],
        mask_threshold=CONFIDENCE_THRESHOLD,
        unit=unit,
    )


def bundle_of_truth(depth: Tensor, intrinsics: Tensor, camera_poses: Tensor | None, *, token_width: int) -> GeometryBundle:
    """A dataset's truth as a bundle with tokens of zeros: the decoder sees images and points alone.

    Lengths are divided by the mean norm of the valid points of the clip; a pixel without depth gets its nearest valid pixel's point,
    and stays invalid.

    Args:
        depth: "B T H W", along z, 0 where unknown. intrinsics: "B T 3 3", pixels, integers at pixel centres.
        camera_poses: "B T 4 4", camera to world; None where unknown.
        token_width: C, of the decoder.
    Raises: DataError for a frame without a single valid depth.
    """
    padding = Padding(height=depth.shape[-2], width=depth.shape[-1])
    valid = torch.isfinite(depth) & (depth > 0)
    points = _unproject(_filled(depth.float(), valid), intrinsics.float())  # "B T 3 H W"
    unit = torch.where(valid, points.norm(dim=2), 0).flatten(1).sum(1) / valid.flatten(1).sum(1) + _SMALLEST
    scale = unit[:, None, None]
    poses = None if camera_poses is None else camera_poses.float().clone()
    if poses is not None:
        poses[..., :3, 3] /= scale
    return GeometryBundle(
        tokens=_no_tokens(depth, padding, token_width),
        num_special=0,
        patch_grid=padding.patch_grid,
        points=padding.pad(points / scale[..., None, None]),
        camera_poses=poses,
        mask=padding.pad(valid.float()),
        mask_threshold=0.5,
        unit=unit,
    )


def bundle_without_geometry(images: Tensor, *, token_width: int) -> GeometryBundle:
    """A bundle for clips of which nothing is known but their images: tokens of zeros, all points at (0, 0, 1) and invalid, no poses.

    2D flow, visibility and confidence do not depend on points; 3D flow over such a bundle means nothing.

    Args:
        images: "B T 3 H W". token_width: C, of the decoder.
    """
    padding = Padding(height=images.shape[-2], width=images.shape[-1])
    points = images.new_tensor([0.0, 0.0, 1.0], dtype=torch.float32)[:, None, None].expand(*images.shape[:2], 3, *padding.padded)
    return GeometryBundle(
        tokens=_no_tokens(images, padding, token_width),
        num_special=0,
        patch_grid=padding.patch_grid,
        points=points,
        camera_poses=None,
        mask=torch.zeros_like(points[:, :, 0]),
        mask_threshold=0.5,
    )


def world_points(points: Tensor, bundle: GeometryBundle) -> Tensor:
    """Points "B T H W 3" of the bundle's T cameras in its world. Raises DataError where poses are unknown."""
    return camera_to_world(points, bundle.poses())


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps "B T C h w" to another size, bilinear, without antialiasing."""
    flat = F.interpolate(maps.flatten(0, 1), size=size, mode="bilinear", align_corners=False)
    return cast(Tensor, flat.unflatten(0, maps.shape[:2]))


def _no_tokens(like: Tensor, padding: Padding, width: int) -> Tensor:
    """Tokens of zeros for clips "B T ...", without special ones."""
    rows, columns = padding.patch_grid
    return like.new_zeros((*like.shape[:2], rows * columns, width), dtype=torch.float32)


def _filled(depth: Tensor, valid: Tensor) -> Tensor:
    """Depth "B T H W" whose invalid pixels have the nearest valid one's."""
    if bool(valid.all()):
        return depth
    filled = depth.clone()
    for clip, frame in (~valid).flatten(2).any(2).nonzero().tolist():
        known = valid[clip, frame].cpu().numpy()
        if not known.any():
            raise DataError(f"clip {clip} of the batch, frame {frame}: no pixel has a valid depth; drop the frame or the clip")
        rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True).astype(np.int64)
        filled[clip, frame] = depth[clip, frame][torch.from_numpy(rows).to(depth.device), torch.from_numpy(columns).to(depth.device)]
    return filled


def _unproject(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Depth "B T H W" and intrinsics "B T 3 3" to points "B T 3 H W"."""
    y, x = torch.meshgrid(*(torch.arange(side, device=depth.device, dtype=depth.dtype) for side in depth.shape[-2:]), indexing="ij")
    rays = torch.linalg.inv(intrinsics) @ torch.stack([x, y, torch.ones_like(x)]).flatten(1)  # "B T 3 HW"
    return rays.unflatten(-1, depth.shape[-2:]) * depth[:, :, None]
