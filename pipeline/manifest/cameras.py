"""Sekai's camera files as pseudo cameras of a clip: OpenCV axes, camera to world, no metric scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import storage
from pipeline.errors import DataError
from pipeline.records.arrays import check_array, check_finite
from pipeline.records.npz import npz_names, read_npz

_TOLERANCE = 8  # frames by which poses and video may differ: cutting tools round
_NAMES = ("extrinsic", "extrinsics", "intrinsic", "intrinsics")
_REMEDY = "fetch it again, or leave it out of the camera root"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PseudoCameras:
    """Estimated cameras of T frames. Where `pose_valid` is False the pose is the identity and means nothing."""

    intrinsics: np.ndarray  # float32 "T 3 3", pixels; integer = pixel centre
    camera_to_world: np.ndarray  # float32 "T 4 4", OpenCV axes, of unknown scale
    pose_valid: np.ndarray  # bool "T"

    def __post_init__(self) -> None:
        num_frames = len(self.pose_valid)
        check_array("intrinsics", self.intrinsics, "float32", (num_frames, 3, 3))
        check_array("camera_to_world", self.camera_to_world, "float32", (num_frames, 4, 4))
        check_array("pose_valid", self.pose_valid, "bool", (num_frames,))
        check_finite("intrinsics", self.intrinsics)
        check_finite("camera_to_world", self.camera_to_world)


def read_pseudo_cameras(uri: str, *, size: tuple[int, int], span_frames: int, frames: Sequence[int]) -> PseudoCameras:
    """Cameras of some frames of the span that a camera file belongs to.

    Args:
        uri: npz with `extrinsic` "N 4 4", camera to world, and `intrinsic` "3 3", "4" (fx, fy, cx, cy), "N 3 3" or "N 4",
            normalised: x by the frame's width, y by its height.
        size: (H, W) of the clip's frames in pixels, which the intrinsics are scaled to.
        span_frames: frames of the whole span in the video. N may differ from it by a few, or be a whole fraction of it (poses at
            30 fps of a video at 60): frames without a pose of their own are not valid.
        frames: indices within the span.
    Raises: DataError naming the file and what was found in it; StorageError.
    Source: sekai-codebase, README and issues 15, 17 and 24.
    """
    arrays = _load(uri)
    poses = _array(uri, arrays, "extrinsic")
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not len(poses):
        raise DataError(f"{uri}: extrinsic has shape {list(poses.shape)}, expected [N, 4, 4]; {_REMEDY}")
    matrices = _normalised_matrices(uri, _array(uri, arrays, "intrinsic"), len(poses))
    step = _frames_per_pose(uri, len(poses), span_frames)
    indices = np.asarray(frames, np.int64)
    if len(indices) and not (indices.min() >= 0 and indices.max() < span_frames):
        raise DataError(f"{uri}: frames {indices.min()}..{indices.max()} asked for, the span has {span_frames}")
    nearest = np.minimum(indices // step, len(poses) - 1)
    finite = np.isfinite(poses).all((1, 2)) & np.isfinite(matrices).all((1, 2))
    valid = finite[nearest] & (nearest * step == indices)
    camera_to_world = np.where(valid[:, None, None], poses[nearest], np.eye(4))
    return PseudoCameras(
        intrinsics=intrinsics_to_pixels(_without_gaps(uri, matrices)[nearest], size).astype(np.float32),
        camera_to_world=camera_to_world.astype(np.float32),
        pose_valid=valid,
    )


def intrinsics_to_pixels(normalised: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Intrinsics "... 3 3" normalised by width and height, as pixels of an (H, W) image.

    Normalised coordinates run from 0 at the image's left (top) edge to 1 at the other, and that edge is at pixel -0.5 where
    integers are pixel centres: focal lengths are scaled, the principal point is c * W - 0.5 (c * H - 0.5).
    """
    height, width = size
    edge_to_centre = np.array([[width, 0, -0.5], [0, height, -0.5], [0, 0, 1]], np.float64)
    return edge_to_centre @ normalised.astype(np.float64)


def _load(uri: str) -> Mapping[str, np.ndarray]:
    data = storage.read_bytes(uri)
    if data.startswith(b"\x93NUMPY"):
        raise DataError(f"{uri}: a single array, expected an npz file with extrinsic and intrinsic; {_REMEDY}")
    try:
        arrays = read_npz(data, _NAMES, shapes={}, what="it")
    except DataError as error:
        raise DataError(f"{uri}: not a readable npz file ({error}); {_REMEDY}") from error
    for name in ("extrinsic", "intrinsic"):
        if not {name, f"{name}s"} & {*arrays}:
            raise DataError(f"{uri}: no array {name}; found {', '.join(npz_names(data)) or 'none'}; {_REMEDY}")
    return arrays


def _array(uri: str, arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    for key in (name, f"{name}s"):
        if key in arrays:
            if not np.issubdtype(arrays[key].dtype, np.floating):
                raise DataError(f"{uri}: {key} is {arrays[key].dtype}, expected floating point; {_REMEDY}")
            return arrays[key].astype(np.float64)
    raise DataError(f"{uri}: no array {name}; found {', '.join(arrays) or 'none'}; {_REMEDY}")


def _normalised_matrices(uri: str, found: np.ndarray, num_poses: int) -> np.ndarray:
    """Intrinsics in any accepted form as float64 "N 3 3", checked to be normalised where finite."""
    matrices = found
    if found.shape[-1:] == (4,) and found.ndim <= 2:
        matrices = np.zeros((*found.shape[:-1], 3, 3))
        matrices[..., 0, 0], matrices[..., 1, 1], matrices[..., 0, 2], matrices[..., 1, 2] = np.moveaxis(found, -1, 0)
        matrices[..., 2, 2] = 1
    if matrices.shape not in ((3, 3), (1, 3, 3), (num_poses, 3, 3)):
        raise DataError(f"{uri}: intrinsic has shape {list(found.shape)}, expected [3, 3], [4], or one per pose ({num_poses}); {_REMEDY}")
    matrices = np.broadcast_to(matrices, (num_poses, 3, 3))
    finite = matrices[np.isfinite(matrices).all((1, 2))]
    focal, centre = finite[:, [0, 1], [0, 1]], finite[:, [0, 1], [2, 2]]
    if not (((focal > 0) & (focal < 5)).all() and ((centre > 0) & (centre < 1)).all()):
        raise DataError(
            f"{uri}: focal lengths {focal.min():g}..{focal.max():g} and principal points {centre.min():g}..{centre.max():g} are not"
            " normalised by the frame's size (0 < f < 5, 0 < c < 1); divide them by width and height, or leave the file out"
        )
    return matrices


def _without_gaps(uri: str, matrices: np.ndarray) -> np.ndarray:
    """Intrinsics with those of the first finite frame where a frame's own are not."""
    finite = np.isfinite(matrices).all((1, 2))
    if not finite.any():
        raise DataError(f"{uri}: no intrinsic is finite; {_REMEDY}")
    return np.where(finite[:, None, None], matrices, matrices[finite.argmax()])


def _frames_per_pose(uri: str, num_poses: int, span_frames: int) -> int:
    if abs(span_frames - num_poses) <= _TOLERANCE:
        return 1
    step = max(1, round(span_frames / num_poses))
    if abs(span_frames - step * num_poses) > step * _TOLERANCE:
        raise DataError(f"{uri}: {num_poses} poses for a span of {span_frames} frames; check that it belongs to this clip, or leave it out")
    return step
