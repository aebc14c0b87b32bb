"""Cameras of datasets: from each one's axes and directions to ours (camera to world; x right, y down, z forward)."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.errors import DataError

# columns are the camera's x (right), y (down), z (forward) in a body whose axes are x forward, y right, z down
_OPENCV_IN_NED = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
_OPENCV_IN_OPENGL = np.diag([1.0, -1, -1, 1])
_RIGID_TOLERANCE = 1e-3  # of R Rᵀ - I: text files carry few digits


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CameraPath:
    """Poses of T frames as a TruthClip has them, in the source's own world (the conversion moves its origin)."""

    camera_to_world: np.ndarray  # float32 "T 4 4"; identity where not valid
    pose_valid: np.ndarray  # bool "T"


def camera_path(camera_to_world: np.ndarray, *, where: str) -> CameraPath | None:
    """Tell the valid poses from the lost ones.

    Args:
        camera_to_world: float64 "T 4 4"; NaN or infinity anywhere in a pose marks it as lost.
        where: the file, for the error.
    Returns: None if no pose is valid: there is no camera then.
    Raises: DataError if a finite pose is not a rigid motion.
    """
    valid = np.isfinite(camera_to_world).all(axis=(1, 2))
    if not valid.any():
        return None
    poses = camera_to_world[valid]
    rotations = poses[:, :3, :3]
    off = np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    wrong = (off > _RIGID_TOLERANCE) | (np.linalg.det(rotations) < 0) | (poses[:, 3] != (0, 0, 0, 1)).any(axis=1)
    if wrong.any():
        frame = int(np.flatnonzero(valid)[np.argmax(wrong)])
        raise DataError(
            f"{where}: the pose of frame {frame} of the clip is no rotation and translation "
            f"(R Rᵀ differs from the identity by up to {off.max():.3g}, expected below {_RIGID_TOLERANCE:g}); is it this dataset's file?"
        )
    placed = np.tile(np.eye(4), (len(valid), 1, 1))
    placed[valid] = poses
    return CameraPath(camera_to_world=placed.astype(np.float32), pose_valid=valid)


def inverse_poses(world_to_camera: np.ndarray) -> np.ndarray:
    """World-to-camera to camera-to-world (or back), float64 "T 4 4"; lost poses become NaN."""
    finite = np.isfinite(world_to_camera).all(axis=(1, 2))
    inverse = np.full(world_to_camera.shape, np.nan)
    try:
        inverse[finite] = np.linalg.inv(world_to_camera[finite])
    except np.linalg.LinAlgError as error:
        raise DataError("a world-to-camera matrix cannot be inverted, so it is no pose; is it this dataset's file?") from error
    return inverse


def quaternion_poses(rows: np.ndarray, *, where: str) -> np.ndarray:
    """Rows "T 7" of x y z qx qy qz qw (what turns the camera's axes into the world's) to poses, float64 "T 4 4".

    A row with NaN gives a pose of NaN. Raises: DataError if a quaternion's length is not 1.
    """
    poses = np.full((len(rows), 4, 4), np.nan)
    finite = np.isfinite(rows).all(axis=1)
    length = np.linalg.norm(rows[finite, 3:], axis=1)
    if (np.abs(length - 1) > 1e-2).any():
        worst = length[np.argmax(np.abs(length - 1))]
        raise DataError(f"{where}: a quaternion of length {worst:.4g}, expected 1; are the columns x y z qx qy qz qw?")
    poses[finite] = np.eye(4)
    poses[finite, :3, :3] = Rotation.from_quat(rows[finite, 3:]).as_matrix()
    poses[finite, :3, 3] = rows[finite, :3]
    return poses


def ned_to_opencv(camera_to_world: np.ndarray) -> np.ndarray:
    """Poses "... 4 4" of a camera with axes x forward, y right, z down, to those of the same camera with ours. The world stays."""
    return camera_to_world @ _OPENCV_IN_NED


def opengl_to_opencv(camera_to_world: np.ndarray) -> np.ndarray:
    """Poses "... 4 4" of a camera with axes x right, y up, z backward (OpenGL, Blender) to those with ours. The world stays."""
    return camera_to_world @ _OPENCV_IN_OPENGL


def pinhole(fx_fy_cx_cy: np.ndarray) -> np.ndarray:
    """Focal lengths and principal points "T 4" in pixels to matrices, float32 "T 3 3"."""
    matrices = np.tile(np.eye(3, dtype=np.float32), (len(fx_fy_cx_cy), 1, 1))
    matrices[:, [0, 1, 0, 1], [0, 1, 2, 2]] = fx_fy_cx_cy
    return matrices
