"""Light of a clip: a sun or a lamp, what comes from all around, and how both change over time."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.records.arrays import check_array
from pipeline.synthetic.lighting import unit
from pipeline.synthetic.scene import Light


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Illumination:
    """The key light is the sun of `light`, or a lamp of its colour."""

    light: Light
    key_gain: np.ndarray  # float32 "T": factor on the sun or lamp in each frame
    ambient_gain: np.ndarray  # float32 "T": factor on what comes from all around
    lamp: tuple[float, float, float] | None = None  # where a lamp hangs, world metres; None: the sun shines
    lamp_reach_m: float = 2.5  # distance at which the lamp is as bright as `light.sun` says

    def __post_init__(self) -> None:
        check_array("key_gain", self.key_gain, "float32", (None,))
        check_array("ambient_gain", self.ambient_gain, "float32", self.key_gain.shape)
        if not self.lamp_reach_m > 0:
            raise ConfigError(f"lamp_reach_m is {self.lamp_reach_m}, expected a positive distance")

    def towards_key(self, points: np.ndarray) -> np.ndarray:
        """From points "3 N" to the key light, float32 "3 N"; of length 1 for the sun, reaching the lamp itself."""
        if self.lamp is None:
            return np.broadcast_to(unit(np.asarray(self.light.to_sun)).astype(np.float32)[:, None], points.shape)
        return np.asarray(self.lamp, np.float32)[:, None] - points
