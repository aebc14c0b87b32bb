"""Cameras of one clip as labels: poses, which of them were found, and intrinsics."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.records.arrays import check_array, check_finite

PoseScale: TypeAlias = Literal["metric", "relative"]
POSE_SCALES: tuple[str, ...] = get_args(PoseScale)

_RIGID = 1e-3  # largest entry of R^T R - I: float32 poses written as text are this good


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CameraLabels:
    """Cameras of the T frames of one clip, OpenCV axes, in whatever world the labeler has.

    `scale` is `metric`: translations are metres; or `relative`: they are true but for one unknown factor per clip.
    """

    kind: ClassVar[str] = "cameras"

    camera_to_world: npt.NDArray[np.float32]  # float32 "T 4 4", rigid
    pose_valid: npt.NDArray[np.bool_]  # bool "T": the frame's pose was found; where not, camera_to_world means nothing
    scale: PoseScale
    intrinsics: npt.NDArray[np.float32] | None = None  # float32 "T 3 3", pixels of the stored clip; None: unknown
    reprojection_px: npt.NDArray[np.float32] | None = None  # float32 "T": median error of static points in a frame; NaN: not measured
    degraded: str | None = None  # as in TrackLabels

    def __post_init__(self) -> None:
        num_frames = len(self.pose_valid)
        check_array("pose_valid", self.pose_valid, "bool", (None,))
        check_array("camera_to_world", self.camera_to_world, "float32", (num_frames, 4, 4))
        check_finite("camera_to_world", self.camera_to_world)
        _check_rigid(self.camera_to_world)
        if self.scale not in POSE_SCALES:
            raise DataError(f"the scale of poses is {self.scale!r}, expected one of {', '.join(POSE_SCALES)}")
        if self.intrinsics is not None:
            check_array("intrinsics", self.intrinsics, "float32", (num_frames, 3, 3))
            check_finite("intrinsics", self.intrinsics)
            _check_pinhole(self.intrinsics)
        if self.reprojection_px is not None:
            check_array("reprojection_px", self.reprojection_px, "float32", (num_frames,))
            if (self.reprojection_px < 0).any() or np.isinf(self.reprojection_px).any():
                raise DataError("reprojection_px holds negative or infinite values; NaN is the one mark of an unknown error")

    @property
    def num_values(self) -> int:
        """Poses."""
        return len(self.pose_valid)


def _check_rigid(poses: np.ndarray) -> None:
    rotation = poses[:, :3, :3].astype(np.float64)
    off = np.abs(rotation.transpose(0, 2, 1) @ rotation - np.eye(3)).max(axis=(1, 2))
    wrong = (off > _RIGID) | (np.linalg.det(rotation) < 0) | (poses[:, 3] != [0, 0, 0, 1]).any(axis=1)
    if wrong.any():
        raise DataError(f"camera_to_world is not rigid in {int(wrong.sum())} frames, the first is {int(wrong.argmax())}")


def _check_pinhole(intrinsics: np.ndarray) -> None:
    focal, below = intrinsics[:, [0, 1], [0, 1]], intrinsics[:, [1, 2, 2, 2], [0, 0, 1, 2]]
    wrong = (focal <= 0).any(axis=1) | (below != [0, 0, 0, 1]).any(axis=1)
    if wrong.any():
        raise DataError(
            f"intrinsics are no pinhole camera's in {int(wrong.sum())} frames, the first is {int(wrong.argmax())}: expected"
            " [[fx, skew, cx], [0, fy, cy], [0, 0, 1]] with focal lengths above 0"
        )
