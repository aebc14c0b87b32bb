"""Points in a box, filmed by a camera on a known path: static tracks with known depth, and poses with noise."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from trainer.geometry.pose_energy import StaticTracks
from trainer.geometry.static_tracks import lift_tracks

SIZE = (168, 224)
FOCAL_PX = 200.0


@dataclass(frozen=True, kw_only=True)
class FilmedPoints:
    """T frames, N points, the first of which move if asked for."""

    tracks: StaticTracks
    camera_to_world: np.ndarray  # float64 "T 4 4", the truth
    noisy: np.ndarray  # float64 "T 4 4", the truth but for noise; the first frame's is true

    @property
    def start(self) -> Tensor:
        """World to camera, with noise."""
        return torch.linalg.inv(torch.from_numpy(self.noisy))


def film_points(
    *,
    num_frames: int = 24,
    num_points: int = 120,
    seed: int = 0,
    pixel_noise: float = 0.3,
    depth_noise: float = 0.02,
    outliers: float = 0.05,
    pose_noise: tuple[float, float] = (0.05, 1.0),
    frame_scale: float = 0.0,
    movers: int = 0,
) -> FilmedPoints:
    """Film points that are 4 to 14 m away.

    Args:
        outliers: share of observations that are off by tens of pixels.
        pose_noise: standard deviations per axis, metres and degrees.
        frame_scale: standard deviation of the logarithm of each frame's own factor on depth, but for the first frame's.
        movers: so many of the points move together, 2.3 m to the side and towards the camera.
    """
    draw = np.random.default_rng(seed)
    intrinsics = np.array([[FOCAL_PX, 0, (SIZE[1] - 1) / 2], [0, FOCAL_PX, (SIZE[0] - 1) / 2], [0, 0, 1]])
    poses = _path(num_frames)
    world = np.repeat(draw.uniform([-6, -3, 4], [6, 3, 14], (num_points, 3))[None], num_frames, axis=0)
    world[:, :movers] += np.linspace(0, 1, num_frames)[:, None, None] * np.array([-2.0, 0.5, -1.0])
    to_camera = np.linalg.inv(poses)
    camera = world @ to_camera[:, :3, :3].transpose(0, 2, 1) + to_camera[:, None, :3, 3]
    pixels = (camera / camera[..., 2:]) @ intrinsics[:2].T
    seen = (camera[..., 2] > 0.5) & (np.abs(pixels - intrinsics[:2, 2]) < np.array(SIZE[::-1]) / 2).all(-1)
    pixels += draw.normal(0, pixel_noise, pixels.shape)
    wrong = draw.random(seen.shape) < outliers
    pixels[wrong] += draw.normal(0, 20, (int(wrong.sum()), 2))
    scales = np.exp(draw.normal(0, frame_scale, num_frames)) if frame_scale else np.ones(num_frames)
    depth = camera[..., 2] * np.exp(draw.normal(0, depth_noise, seen.shape)) * (scales / scales[0])[:, None]
    noisy = poses.copy()
    noisy[1:, :3, 3] += draw.normal(0, pose_noise[0], (num_frames - 1, 3))
    noisy[1:, :3, :3] @= Rotation.from_rotvec(np.radians(draw.normal(0, pose_noise[1], (num_frames - 1, 3)))).as_matrix()
    tracks = lift_tracks(
        torch.from_numpy(pixels),
        torch.from_numpy(seen),
        torch.from_numpy(np.where(seen, depth, 0)),
        torch.from_numpy(intrinsics).repeat(num_frames, 1, 1),
        torch.ones(num_points),
    )
    return FilmedPoints(tracks=tracks, camera_to_world=poses, noisy=noisy)


def _path(num_frames: int) -> np.ndarray:
    """A camera that goes forward and to the side, swaying and turning."""
    time = np.arange(num_frames) / 23
    poses = np.tile(np.eye(4), (num_frames, 1, 1))
    poses[:, :3, 3] = np.stack([1.5 * time, 0.3 * np.sin(6 * time), time], axis=1)
    turns = np.stack([0.05 * np.sin(5 * time), -0.2 * time / max(time[-1], 1), 0 * time], axis=1)
    poses[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    return poses
