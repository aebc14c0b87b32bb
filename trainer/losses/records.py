"""Inputs of the losses: B clips of T frames at once, either all with ground truth or all without.

Cameras are OpenCV's, pixels (x, y) with integer centres. Lengths are in the unit that the network chose, or, where a record says so, in the
clip's normalised unit (see `GeometryTruth`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.errors import DataError


def check_floats(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raises: DataError unless the tensor is float32 or float64 of this shape."""
    if tensor.dtype not in (torch.float32, torch.float64) or tensor.shape != shape:
        found = f"{tensor.dtype}{list(tensor.shape)}".removeprefix("torch.")
        raise DataError(f"{name} is {found}, expected float32 or float64 {list(shape)}; losses are not taken in half precision")


def check_mask(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raises: DataError unless the tensor is bool of this shape."""
    if tensor.dtype != torch.bool or tensor.shape != shape:
        raise DataError(f"{name} is {tensor.dtype}{list(tensor.shape)}, expected torch.bool{list(shape)}")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipGeometry:
    """Predicted geometry of B clips."""

    local_points: Tensor  # "B T H W 3", in each frame's camera
    camera_to_world: Tensor  # "B T 4 4", rigid
    tracks: Tensor | None = None  # "B T N 3", in the camera of each frame; the tracker's last iteration

    def __post_init__(self) -> None:
        clips, frames = self.camera_to_world.shape[:2]
        check_floats("camera_to_world", self.camera_to_world, (clips, frames, 4, 4))
        size = tuple(self.local_points.shape[2:4]) if self.local_points.ndim == 5 else (0, 0)
        check_floats("local_points", self.local_points, (clips, frames, *size, 3))
        if self.tracks is not None:
            num_tracks = self.tracks.shape[2] if self.tracks.ndim == 4 else 0
            check_floats("tracks", self.tracks, (clips, frames, num_tracks, 3))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackObservations:
    """Observed positions of N points of each clip: data, never a network's output."""

    tracks_px: Tensor  # "B T N 2", of the point map's raster; finite, also where the weight is 0
    frame_weights: Tensor  # "B T N" in [0, 1], 0 where not seen
    static_score: Tensor | None = None  # "B N" from an audit, at least 0.5 is static, NaN is unknown
    pose_weight: Tensor | None = None  # "B T" in [0, 1]: how far a loss on cameras may use the frame; None: all

    def __post_init__(self) -> None:
        if self.frame_weights.ndim != 3:
            raise DataError(f"frame_weights is {list(self.frame_weights.shape)}, expected [B, T, N]")
        clips, frames, num_tracks = self.frame_weights.shape
        check_floats("tracks_px", self.tracks_px, (clips, frames, num_tracks, 2))
        check_floats("frame_weights", self.frame_weights, (clips, frames, num_tracks))
        if self.static_score is not None:
            check_floats("static_score", self.static_score, (clips, num_tracks))
        if self.pose_weight is not None:
            check_floats("pose_weight", self.pose_weight, (clips, frames))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GeometryTruth:
    """Ground truth of B clips in any world frame and unit; `normalise_truth` brings it into the first camera and the normalised unit.

    Normalised means: the points' mean distance from the first camera is 1.
    """

    local_points: Tensor  # "B T H W 3", in each frame's camera; anything where not valid
    camera_to_world: Tensor  # "B T 4 4", rigid; anything finite where the pose is not valid, which the first may not be
    valid: Tensor  # bool "B T H W": the point is known
    pose_valid: Tensor | None = None  # bool "B T"; None: all are known
    sky_mask: Tensor | None = None  # bool "B T H W"; None: not known
    with_normals: Tensor | None = None  # bool "B": depth good enough for normals; None: all
    intrinsics: Tensor | None = None  # "B T 3 3", pixels, integers at centres; None: not known

    def __post_init__(self) -> None:
        shape = tuple(self.valid.shape)
        if self.intrinsics is not None:
            check_floats("intrinsics", self.intrinsics, (*shape[:2], 3, 3))
        check_floats("local_points", self.local_points, (*shape, 3))
        check_floats("camera_to_world", self.camera_to_world, (*shape[:2], 4, 4))
        for name, expected in (("valid", shape), ("pose_valid", shape[:2]), ("sky_mask", shape), ("with_normals", shape[:1])):
            mask = getattr(self, name)
            if mask is not None:
                check_mask(name, mask, expected)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NormalisedTruth:
    """Ground truth in the first camera's frame and the normalised unit; made by `normalise_truth`. Invalid points keep their values."""

    truth: GeometryTruth
    norm: Tensor  # "B": the truth's unit, in that of its source; 1 where no point is valid
