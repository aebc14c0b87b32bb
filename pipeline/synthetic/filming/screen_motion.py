"""How far what a pixel shows moves in the image until another frame: exact, from geometry and cameras."""

import numpy as np

from pipeline.synthetic.scene import Scene

SKY_M = 1e5  # what the sky counts as: far enough that only turning the camera moves it
_NEAR_M = np.float32(0.05)  # points that come nearer than this, or behind the camera, are projected as if they were this far


def screen_motion(scene: Scene, frames: tuple[int, int], points: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Movement in the image from one frame to the other, float32 "N 2" (x, y) in pixels.

    Args:
        points: "N 3", in the first frame's camera.
        shift: "N 3", how far each point moves in the world meanwhile.
    """
    pose, other = scene.camera_to_world[frames[0]], scene.camera_to_world[frames[1]]
    turn = (other[:3, :3].T @ pose[:3, :3]).astype(np.float32)
    offset = (other[:3, :3].T @ (pose[:3, 3] - other[:3, 3])).astype(np.float32)
    before = points.astype(np.float32)
    after = before @ turn.T + (offset + shift.astype(np.float32) @ other[:3, :3].astype(np.float32))
    focal = scene.intrinsics[[0, 1], [0, 1]].astype(np.float32)
    return np.asarray(focal * (_flat(after) - _flat(before)))


def _flat(points: np.ndarray) -> np.ndarray:
    return np.asarray(points[:, :2] / np.maximum(points[:, 2:], _NEAR_M))
