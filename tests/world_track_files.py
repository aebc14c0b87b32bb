"""Files of the WorldTrack benchmark of a scene in closed form: a camera that slides along a wall, points on it, and points that fly."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

H, W, FOCAL, WALL_M, STEP_M = 48, 64, 60.0, 3.0, 0.05
INTRINSICS = np.array([[FOCAL, 0, (W - 1) / 2], [0, FOCAL, (H - 1) / 2], [0, 0, 1]])


@dataclass(frozen=True, kw_only=True)
class Wall:
    """The truth of T frames; `world` is the first camera."""

    world: np.ndarray  # "T N 3"
    world_to_camera: np.ndarray  # "T 4 4"
    visible: np.ndarray  # bool "T N"
    dynamic: np.ndarray  # bool "N"
    images: list[bytes]

    @property
    def camera(self) -> np.ndarray:
        """Tracks "T N 3" in the camera of each frame."""
        return self.world @ self.world_to_camera[0, :3, :3].T + self.world_to_camera[:, None, :3, 3]

    @property
    def depth(self) -> np.ndarray:
        """Metres "T H W", known at every second row and column."""
        depth = np.zeros((len(self.world), H, W))
        depth[:, 1::2, 1::2] = WALL_M
        return depth


def make_wall(num_frames: int, seed: int = 0) -> Wall:
    """A point each 8 pixels on the wall. Of the last four, two fly along it, one passes the camera, one is hidden in frame 0."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(6, W, 8), np.arange(4, H, 8)))
    start = np.stack([x, y, np.ones(len(x))], axis=-1) @ np.linalg.inv(INTRINSICS).T * WALL_M
    world = np.tile(start, (num_frames, 1, 1))
    t = np.arange(num_frames)[:, None]
    world[:, -4:-2] += t[..., None] * [0.04, 0, -0.02]
    world[:, -2, 2] -= 0.7 * t[:, 0]
    visible = np.ones(world.shape[:2], bool)
    visible[3:, 5] = visible[0, -1] = False
    visible[world[..., 2] <= 0.1] = False
    world_to_camera = np.tile(np.eye(4), (num_frames, 1, 1))
    world_to_camera[:, 0, 3] = -STEP_M * t[:, 0]
    picture = cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 255, (H, 2 * W, 3)).astype(np.uint8), (0, 0), 1.5)
    shifts = [np.array([[1, 0, -index * STEP_M / WALL_M * FOCAL], [0, 1, 0]]) for index in range(num_frames)]
    frames = [cv2.warpAffine(picture, shift, (W, H)) for shift in shifts]
    images = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes() for frame in frames]
    dynamic = np.zeros(world.shape[1], bool)
    dynamic[-4:-1] = True
    return Wall(world=world, world_to_camera=world_to_camera, visible=visible, dynamic=dynamic, images=images)


def write_file(path: Path, wall: Wall, *, pickled: bool = False, **changes: np.ndarray | None) -> None:
    """The wall as the benchmark stores it, without depth. `changes` replace arrays; None leaves one out."""
    arrays: dict[str, np.ndarray | None] = {
        "images_jpeg_bytes": np.array(wall.images, dtype=object if pickled else None),
        "tracks_XYZ": wall.camera.astype(np.float32),
        "visibility": wall.visible,
        "fx_fy_cx_cy": INTRINSICS[[0, 1, 0, 1], [0, 1, 2, 2]],
        "extrinsics_w2c": wall.world_to_camera,
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
