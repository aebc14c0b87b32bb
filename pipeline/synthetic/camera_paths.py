"""How a camera moves: poses "T 4 4", camera to world, OpenCV axes, in a world whose z is up."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

_LEVEL = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # columns: the axes of a level camera that looks along the world's y


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """A person who walks along y and holds a camera."""

    start: tuple[float, float, float] = (0, 0, 1.6)  # metres; z is the height of the eyes
    speed_m_s: float = 1.3
    steps_per_s: float = 1.9
    bob_m: float = 0.025  # up and down, once per step
    sway_m: float = 0.03  # from side to side, once per two steps
    heading_deg: float = 0.0  # mean direction, positive to the left
    glance_deg: float = 5.0  # slow looking left and right
    glance_s: float = 4.5  # period of it
    pitch_deg: float = -1.0
    shake_deg: float = 0.35  # nod and roll with the steps


def walking_camera(walk: Walk, times_s: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Poses at `times_s` "T". The generator chooses at which points of step and glance the walk begins."""
    phase, glance_phase, tremble_phase = rng.uniform(0, 2 * np.pi, 3)
    step = 2 * np.pi * walk.steps_per_s * times_s + phase
    glance = walk.glance_deg * np.sin(2 * np.pi * times_s / walk.glance_s + glance_phase)
    tremble = 0.3 * walk.shake_deg * np.sin(2.3 * step + tremble_phase)
    heading = np.radians(walk.heading_deg)
    along = walk.speed_m_s * times_s
    x = walk.start[0] - np.sin(heading) * along + walk.sway_m * np.sin(step / 2)
    y = walk.start[1] + np.cos(heading) * along + 0.3 * walk.bob_m * np.sin(step)
    z = walk.start[2] + walk.bob_m * np.sin(step)
    angles = np.stack(
        [walk.heading_deg + glance, walk.pitch_deg + walk.shake_deg * np.cos(step), 0.8 * walk.shake_deg * np.sin(step / 2) + tremble]
    )
    return level_poses(np.stack([x, y, z], axis=-1), *angles)


def level_poses(positions: np.ndarray, yaw_deg: np.ndarray, pitch_deg: np.ndarray, roll_deg: np.ndarray) -> np.ndarray:
    """Poses "T 4 4" at positions "T 3": yaw turns left about the world's z, pitch looks up, roll tips the camera to the right (degrees)."""
    yaw = Rotation.from_rotvec(np.radians(yaw_deg)[:, None] * [0, 0, 1]).as_matrix()
    tilt = Rotation.from_euler("XZ", np.stack([pitch_deg, roll_deg], axis=-1), degrees=True).as_matrix()
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3, :3] = yaw @ _LEVEL @ tilt
    poses[:, :3, 3] = positions
    return poses
