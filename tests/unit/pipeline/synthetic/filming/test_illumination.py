import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.synthetic.lighting import Illumination
from pipeline.synthetic.scene import Light

ONES = np.ones(2, np.float32)


def test_the_sun_is_one_direction_and_a_lamp_is_a_place() -> None:
    points = np.array([[0.0, 3], [0, 0], [0, 1]], np.float32)
    sun = Illumination(light=Light(to_sun=(0, 3, 4)), key_gain=ONES, ambient_gain=ONES)
    np.testing.assert_allclose(sun.towards_key(points), [[0, 0], [0.6, 0.6], [0.8, 0.8]], rtol=1e-6)
    lamp = Illumination(light=Light(to_sun=(0, 0, 1)), key_gain=ONES, ambient_gain=ONES, lamp=(1.0, 0.0, 2.0))
    np.testing.assert_allclose(lamp.towards_key(points), [[1, -2], [0, 0], [2, 1]])


def test_gains_and_reach_are_checked() -> None:
    with pytest.raises(DataError, match="ambient_gain"):
        Illumination(light=Light(to_sun=(0, 0, 1)), key_gain=ONES, ambient_gain=np.ones(3, np.float32))
    with pytest.raises(ConfigError, match="lamp_reach_m"):
        Illumination(light=Light(to_sun=(0, 0, 1)), key_gain=ONES, ambient_gain=ONES, lamp_reach_m=0)
