"""Where something goes over the ground: a smooth curve through a given place at a given time."""

from dataclasses import dataclass

import numpy as np

from pipeline.records.arrays import check_array


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
