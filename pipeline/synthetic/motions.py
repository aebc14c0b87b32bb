"""Poses of objects and cameras over time, and paths over the ground: "4 4" or "T 4 4", z up, lengths in metres."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.records.arrays import check_array

Point = tuple[float, float, float]
_LEVEL = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # columns: the axes of a level camera that looks along the world's y


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


@dataclass(frozen=True, kw_only=True, slots=True)
class WalkPath:
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


def walking_camera(walk: WalkPath, times_s: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GroundPath:
    """T moments of something that goes its way, at equal intervals. Metres, z up."""

    times_s: np.ndarray  # float64 "T"
    places: np.ndarray  # float64 "T 3": the ground below it
    headings: np.ndarray  # float64 "T": radians, 0 along x, counter-clockwise
    along_m: np.ndarray  # float64 "T": distance gone

    def __post_init__(self) -> None:
        num_frames = len(self.times_s)
        check_array("places", self.places, "float64", (num_frames, 3))
        check_array("headings", self.headings, "float64", (num_frames,))
        check_array("along_m", self.along_m, "float64", (num_frames,))

    def poses(self, lift_m: float | np.ndarray = 0.0) -> np.ndarray:
        """Upright poses "T 4 4" that look along the way (along their own x), `lift_m` above the ground."""
        poses = np.tile(np.eye(4), (len(self.times_s), 1, 1))
        cosine, sine = np.cos(self.headings), np.sin(self.headings)
        poses[:, 0, 0], poses[:, 0, 1], poses[:, 1, 0], poses[:, 1, 1] = cosine, -sine, sine, cosine
        poses[:, :3, 3] = self.places
        poses[:, 2, 3] += lift_m
        return poses


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """A way at constant speed on an arc."""

    through: tuple[float, float]  # (x, y) at the time `at_s`
    at_s: float
    heading: float  # radians, there
    speed_m_s: float
    turn_rad_s: float = 0.0

    def places_at(self, times_s: np.ndarray) -> np.ndarray:
        """(x, y) at times "T", "T 2": the exact arc."""
        elapsed = times_s - self.at_s
        half_turn = 0.5 * self.turn_rad_s * elapsed
        chord = self.speed_m_s * elapsed * np.sinc(half_turn / np.pi)  # of an arc of this length and turn
        bearing = self.heading + half_turn
        return np.array(self.through) + chord[:, None] * np.stack([np.cos(bearing), np.sin(bearing)], axis=-1)

    def headings_at(self, times_s: np.ndarray) -> np.ndarray:
        """Radians at times "T"."""
        return self.heading + self.turn_rad_s * (times_s - self.at_s)
