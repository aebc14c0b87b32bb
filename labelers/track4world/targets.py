"""Targets of Track4World's flow in pixels and in 3D, with the geometry of the clip that they are lifted by."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from networks.pi3.geometry import camera_to_world
from networks.track4world.alignment import align_pair, refine_confidence, sample_at_targets, visible_pixels
from networks.track4world.bundle import GeometryBundle, Padding
from networks.track4world.unprojection import PinholeFit, fit_pinhole, lift, unproject
from pipeline.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipGeometry:
    """Geometry of the T frames of one run of the network, in that run's unit and world."""

    points: Tensor  # "T 3 H W", in each frame's camera
    valid: Tensor  # bool "T H W"
    camera_poses: Tensor | None  # "T 4 4", camera to world
    camera: PinholeFit

    @classmethod
    def of_bundle(cls, bundle: GeometryBundle, padding: Padding, num_frames: int) -> "ClipGeometry":
        """The first frames of a bundle of one clip, without padding; copies of the last one behind them are left out."""
        points, mask = padding.crop(bundle.points[0, :num_frames]), padding.crop(bundle.mask[0, :num_frames])
        valid = mask > bundle.mask_threshold
        poses = None if bundle.camera_poses is None else bundle.camera_poses[0, :num_frames]
        return cls(points=points, valid=valid, camera_poses=poses, camera=fit_pinhole(points, valid))

    @property
    def intrinsics(self) -> Tensor:
        """Matrix "3 3" for (x / W, y / H)."""
        return self.camera.intrinsics((self.points.shape[-2], self.points.shape[-1]))

    def unprojected(self) -> Tensor:
        """Points "T 3 H W" made anew from their shifted depths by the one camera of the clip."""
        return unproject(self.points[:, 2] + self.camera.shift, self.intrinsics)

    def poses(self) -> Tensor:
        """`camera_poses`. Raises DataError where they are unknown."""
        if self.camera_poses is None:
            raise DataError("this clip's geometry has no camera poses, which world tracks need; take tracks in camera axes")
        return self.camera_poses


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TargetMaps:
    """Where the pixels of source frames are in K target frames. Frame numbers are of the run's clip."""

    sources: tuple[int, ...]
    targets: tuple[int, ...]
    pixels: Tensor  # float32 "K 2 H W", (x, y), integers at pixel centres
    flow3d: Tensor  # float32 "K 3 H W", from the source's camera axes to the target's
    points: Tensor  # float32 "K 3 H W", in the target's camera: at the target pixel, at the 3D flow's depth
    visconf: Tensor  # float32 "K 2 H W", visibility and confidence in [0, 1]

    def without_first(self) -> "TargetMaps":
        """The same, less its first target."""
        rest = {name: getattr(self, name)[1:] for name in ("sources", "targets", "pixels", "flow3d", "points", "visconf")}
        return TargetMaps(**rest)

    def in_world(self, geometry: ClipGeometry) -> Tensor:
        """`points` in the run's world, "K 3 H W". Raises DataError where poses are unknown."""
        return move_points(self.points, geometry.poses()[list(self.targets)])

    def in_camera_of(self, frame: int, geometry: ClipGeometry) -> Tensor:
        """`points` in the axes of one frame's camera, "K 3 H W". Raises DataError where poses are unknown."""
        poses = geometry.poses()
        return move_points(self.points, torch.linalg.solve(poses[frame], poses[list(self.targets)]))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairFlow:
    """The network's flow of K (source, target) frames, unpadded."""

    sources: tuple[int, ...]
    targets: tuple[int, ...]
    flow: Tensor  # "K 2 H W", pixels
    flow3d: Tensor  # "K 3 H W"
    visconf: Tensor  # "K 2 H W", in [0, 1]

    @property
    def pixels(self) -> Tensor:
        """Target pixels "K 2 H W"."""
        height, width = self.flow.shape[-2:]
        y, x = torch.meshgrid(*(torch.arange(side, device=self.flow.device) for side in (height, width)), indexing="ij")
        return self.flow + torch.stack([x, y])


def lift_targets(flow: PairFlow, geometry: ClipGeometry, *, pixel_offset: float) -> TargetMaps:
    """Pixels, and points at the depth of source points plus 3D flow; `pixel_offset` as in `networks.track4world.unprojection.lift`."""
    depth = geometry.points[list(flow.sources), 2] + flow.flow3d[:, 2] + geometry.camera.shift
    return TargetMaps(
        sources=flow.sources,
        targets=flow.targets,
        pixels=flow.pixels,
        flow3d=flow.flow3d,
        points=lift(flow.pixels, depth, geometry.intrinsics, pixel_offset=pixel_offset),
        visconf=flow.visconf,
    )


def align_to_targets(flow: PairFlow, geometry: ClipGeometry) -> PairFlow:
    """3D flow scaled and shifted, pair by pair, onto the target frames' points; confidence less by what then still disagrees."""
    points = geometry.points[list(flow.sources)]
    seen, inside = sample_at_targets(geometry.points[list(flow.targets)], flow.pixels)
    usable = inside & visible_pixels(flow.visconf)
    aligned = torch.stack([align_pair(*maps) for maps in zip(points, seen, flow.flow3d, usable, strict=True)])
    return replace(flow, flow3d=aligned, visconf=refine_confidence(flow.visconf, points, seen, aligned))


def move_points(points: Tensor, poses: Tensor) -> Tensor:
    """Points "K 3 H W" of K cameras by poses "K 4 4"."""
    return camera_to_world(points.permute(0, 2, 3, 1)[None], poses[None])[0].permute(0, 3, 1, 2)
