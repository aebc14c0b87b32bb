"""How things stand and move: poses "4 4" or "T 4 4", object to world, z up, lengths in metres."""

import numpy as np
from scipy.spatial.transform import Rotation

Point = tuple[float, float, float]


def standing(position: Point, *, turn_deg: float = 0.0) -> np.ndarray:
    """Upright at a place, turned about z: "4 4"."""
    return _poses(Rotation.from_euler("z", [turn_deg], degrees=True), np.array([position]))[0]


def tilted(position: Point, *, axis_angles_deg: Point) -> np.ndarray:
    """At a place, turned about the world's x, then y, then z: "4 4"."""
    return _poses(Rotation.from_euler("xyz", [axis_angles_deg], degrees=True), np.array([position]))[0]


def turning(start: Point, velocity_m_s: Point, *, turn_deg_s: float, times_s: np.ndarray) -> np.ndarray:
    """Sliding along a line while turning about z."""
    angle = turn_deg_s * times_s
    return _poses(Rotation.from_euler("z", angle[:, None], degrees=True), _line(start, velocity_m_s, times_s))


def rolling(start: Point, velocity_m_s: Point, *, radius: float, times_s: np.ndarray) -> np.ndarray:
    """A round thing that rolls without slipping over level ground."""
    axis = np.cross([0, 0, 1], velocity_m_s) / radius  # radians per second
    return _poses(Rotation.from_rotvec(times_s[:, None] * axis), _line(start, velocity_m_s, times_s))


def swinging(pivot: Point, arm: Point, *, swing_deg: Point, period_s: float, times_s: np.ndarray) -> np.ndarray:
    """A thing that hangs at `arm` from a pivot and swings by up to the rotation vector `swing_deg`; at rest, upright, at time 0."""
    share = np.sin(2 * np.pi * times_s / period_s)
    rotation = Rotation.from_rotvec(share[:, None] * np.radians(swing_deg))
    return _poses(rotation, np.array(pivot) + rotation.apply(np.array(arm)))


def _line(start: Point, velocity: Point, times_s: np.ndarray) -> np.ndarray:
    return np.array(start) + times_s[:, None] * np.array(velocity)


def _poses(rotation: Rotation, positions: np.ndarray) -> np.ndarray:
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3, :3] = rotation.as_matrix()
    poses[:, :3, 3] = positions
    return poses
