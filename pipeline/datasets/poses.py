"""Cameras of datasets in our axes (camera to world; x right, y down, z forward), PyTorch3D's among them."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.errors import DataError

# columns are the camera's x (right), y (down), z (forward) in a body whose axes are x forward, y right, z down
_OPENCV_IN_NED = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
_OPENCV_IN_OPENGL = np.diag([1.0, -1, -1, 1])
_RIGID_TOLERANCE = 1e-3  # of R Rᵀ - I: text files carry few digits
_FLIP = np.diag([-1.0, -1.0, 1.0])  # x left, y up -> x right, y down


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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Viewpoint:
    """One frame's camera in PyTorch3D's terms."""

    rotation: np.ndarray  # "3 3": X_camera = X_world R + T, rows
    translation: np.ndarray  # "3"
    focal_length: np.ndarray  # "2", in normalised coordinates
    principal_point: np.ndarray  # "2", likewise
    intrinsics_format: str  # ndc_isotropic | ndc_norm_image_bounds; `pixel_centre_intrinsics` refuses others


def world_to_camera(viewpoint: Viewpoint) -> np.ndarray:
    """The extrinsic matrix "4 4" with our axes: diag(-1, -1, 1) R', diag(-1, -1, 1) T."""
    matrix = np.eye(4)
    matrix[:3, :3] = _FLIP @ viewpoint.rotation.T
    matrix[:3, 3] = _FLIP @ viewpoint.translation
    return matrix


def pixel_centre_intrinsics(viewpoint: Viewpoint, size: tuple[int, int]) -> np.ndarray:
    """The camera's matrix "3 3" in pixels, integer = pixel centre.

    Normalised coordinates reach from -1 to 1 over the shorter side (`ndc_isotropic`) or over each side (`ndc_norm_image_bounds`) and
    count from the middle of the image; the image's corner, where PyTorch3D has 0, is our -0.5.

    Args:
        size: (H, W).
    Raises: DataError for another format.
    """
    half = np.array(size[::-1]) / 2
    if viewpoint.intrinsics_format == "ndc_isotropic":
        scale = np.full(2, half.min())
    elif viewpoint.intrinsics_format == "ndc_norm_image_bounds":
        scale = half
    else:
        raise DataError(f"intrinsics_format is {viewpoint.intrinsics_format!r}, expected ndc_isotropic or ndc_norm_image_bounds")
    matrix = np.eye(3)
    matrix[[0, 1], [0, 1]] = viewpoint.focal_length * scale
    matrix[:2, 2] = half - viewpoint.principal_point * scale - 0.5
    return matrix


def float16_bits_to_depth(stored: np.ndarray, scale: float) -> np.ndarray:
    """Depth float32 of a 16-bit PNG whose numbers are the bits of float16, times `scale`; what is not finite, or below 1e-5, is 0."""
    depth = stored.astype(np.uint16).view(np.float16).astype(np.float32) * np.float32(scale)
    return np.where(np.isfinite(depth) & (depth >= 1e-5), depth, 0).astype(np.float32)
