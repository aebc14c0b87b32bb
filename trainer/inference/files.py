"""A prediction as files that other programs read: an archive of arrays, a cloud of points, a trajectory."""

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline import storage
from pipeline.errors import DataError
from trainer.inference.prediction import Prediction

VISIBLE = 0.2  # from this score on a point counts as seen, in the public script
_VERTEX = np.dtype([("position", "<f4", 3), ("colour", "u1", 3)])


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
