"""A prediction as files that other programs read: an archive of arrays, a cloud of points, a trajectory."""

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from pipeline import storage
from pipeline.errors import DataError
from trainer.inference.prediction import Prediction

VISIBLE = 0.2  # from this score on a point counts as seen, in the public script
_VERTEX = np.dtype([("position", "<f4", 3), ("colour", "u1", 3)])
EDGE = 0.03  # of the depth


def write_arrays(uri: str, prediction: Prediction, *, visible: float = VISIBLE) -> None:
    """Publish the arrays that TrajVG's public script writes, as .npz.

    - world_points: float32 "T H W 3"
    - extrinsics: float32 "T 4 4", the model's camera poses: camera to world, OpenCV axes
    - colors: uint8 "T H W 3", RGB
    - trajectories: float32 "T N 3", in the world
    - visibility: bool "T N", score above `visible`

    N is 0 for a model that tracks nothing.
    """
    tracks, num_frames = prediction.tracks, len(prediction.frames)
    with storage.publishing(uri) as path, path.open("wb") as handle:
        np.savez(
            handle,
            world_points=prediction.points,
            extrinsics=prediction.camera_to_world,
            colors=prediction.frames,
            trajectories=np.zeros((num_frames, 0, 3), np.float32) if tracks is None else tracks.world,
            visibility=np.zeros((num_frames, 0), bool) if tracks is None else tracks.visibility_score > visible,
        )


def write_cloud(uri: str, prediction: Prediction, shown: np.ndarray) -> int:
    """Publish the points of all frames where `shown`, bool "T H W", as binary .ply with colours. Gives their number."""
    vertices = np.empty(int(shown.sum()), _VERTEX)
    vertices["position"] = prediction.points[shown]
    vertices["colour"] = prediction.frames[shown]
    properties = [f"property float {name}" for name in "xyz"] + [f"property uchar {name}" for name in ("red", "green", "blue")]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}", *properties, "end_header", ""]
    storage.publish_bytes(uri, "\n".join(header).encode() + vertices.tobytes())
    return len(vertices)


def write_trajectory(uri: str, camera_to_world: np.ndarray, times_s: np.ndarray) -> None:
    """Publish poses "T 4 4" in TUM's format: time, centre, quaternion (x, y, z, w), a line a frame.

    Raises: DataError if there are not as many times as poses.
    """
    if len(times_s) != len(camera_to_world):
        raise DataError(f"{len(camera_to_world)} poses, {len(times_s)} times; expected one time a pose")
    quaternions = Rotation.from_matrix(camera_to_world[:, :3, :3]).as_quat()
    rows = np.column_stack([camera_to_world[:, :3, 3], quaternions])
    lines = ["# timestamp tx ty tz qx qy qz qw"]
    lines += [" ".join([f"{time:.6f}", *(f"{value:.9g}" for value in row)]) for time, row in zip(times_s, rows, strict=True)]
    storage.publish_bytes(uri, ("\n".join(lines) + "\n").encode())


def trusted_points(depth: np.ndarray, confidence: np.ndarray, *, least_confidence: float, edge: float = EDGE) -> np.ndarray:
    """Pixels that the model is sure of, and that lie on no edge between near and far: there points hang in the air.

    Args:
        depth: float32 "T H W", along z.
        confidence: "T H W" in [0, 1].
        edge: a pixel lies on one where depth differs by a larger share of it within the pixel and its eight neighbours.
    Returns: bool "T H W".
    """
    window = np.ones((3, 3), np.uint8)
    contrast = np.stack([cv2.dilate(frame, window) - cv2.erode(frame, window) for frame in depth])
    return np.asarray((confidence >= least_confidence) & (contrast <= edge * depth))


def fit_intrinsics(local_points: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """Pinhole cameras under which the points of each frame fall nearest to their own pixels; the centre is the image's.

    The error is measured along rays (x/z against (u - c)/f), so that 1/f has a closed form; far points count like near ones.

    Args:
        local_points: "T H W 3", in the camera of each frame, z > 0.
        weights: "T H W", not negative, such as confidence.
    Returns: float32 "T 3 3", pixels (integer = pixel centre); None if in some frame points do not spread to the right and down as pixels
        do, so that no camera sees them so (the model is untrained, or has failed).
    """
    num_frames, height, width, _ = local_points.shape
    intrinsics = np.tile(np.eye(3, dtype=np.float32), (num_frames, 1, 1))
    for axis, (length, shape) in enumerate(((width, (1, 1, width)), (height, (1, height, 1)))):
        offset = np.broadcast_to((np.arange(length) - (length - 1) / 2).reshape(shape), weights.shape)  # u - c
        slope = local_points[..., axis].astype(np.float64) / local_points[..., 2]
        spread = (weights * offset * slope).sum(axis=(1, 2))
        if not (spread > 0).all():
            return None
        intrinsics[:, axis, axis] = (weights * np.square(offset)).sum(axis=(1, 2)) / spread
        intrinsics[:, axis, 2] = (length - 1) / 2
    return intrinsics
