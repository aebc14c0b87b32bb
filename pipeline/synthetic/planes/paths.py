"""Smooth motion over time, and the camera that moves so."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.synthetic.planes.layer import SHUTTER, View


def smooth_path(rng: np.random.Generator, num_frames: int, amplitude: float, *, speed: float) -> np.ndarray:
    """A drift of about `speed` per frame to one side or the other plus slow swings of about `amplitude`: float64 "T S"."""
    t = np.arange(num_frames)[:, None] + np.array(SHUTTER)
    swings = sum(rng.normal() * np.sin(2 * np.pi * t / rng.uniform(20, 70) + rng.uniform(0, 2 * np.pi)) for _ in range(3))
    return np.asarray(amplitude * swings / np.sqrt(3) + speed * rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0) * t)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlaneCamera:
    """A camera before standing layers, at every frame and sub-exposure."""

    rotation: np.ndarray  # float64 "T S 3 3"
    position: np.ndarray  # float64 "T S 3"; the scene's nearest standing layer is 1 away
    intrinsics: np.ndarray  # float64 "T S 3 3"


def camera_path(rng: np.random.Generator, view: View) -> PlaneCamera:
    """A hand that turns, sways, walks and zooms a little."""
    num_frames = view.num_frames
    yaw, pitch, roll = (smooth_path(rng, num_frames, angle, speed=0.0) for angle in (0.05, 0.035, 0.05))
    position = np.stack(
        [smooth_path(rng, num_frames, sway, speed=speed) for sway, speed in ((0.06, 0.004), (0.04, 0.002), (0.05, 0.002))], axis=-1
    )
    focal = 300 * view.unit * np.exp(smooth_path(rng, num_frames, 0.04, speed=0.001))
    intrinsics = np.zeros((*focal.shape, 3, 3))
    intrinsics[..., 0, 0] = intrinsics[..., 1, 1] = focal
    intrinsics[..., 0, 2], intrinsics[..., 1, 2], intrinsics[..., 2, 2] = (view.width - 1) / 2, (view.height - 1) / 2, 1
    rotation = np.array(
        [[cv2.Rodrigues(np.array(angles))[0] for angles in zip(*row, strict=True)] for row in zip(pitch, yaw, roll, strict=True)]
    )
    return PlaneCamera(rotation=rotation, position=position - position[:1, :1], intrinsics=intrinsics)
