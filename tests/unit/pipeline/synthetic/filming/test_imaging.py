import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.synthetic.filming.frames import LinearFrame
from pipeline.synthetic.filming.imaging import Imaging, develop

SHAPE = (20, 30)
ONES = np.ones((2, 3), np.float32)


def even(level: float) -> LinearFrame:
    return LinearFrame(
        radiance=np.full((*SHAPE, 3), level, np.float32),
        depth=np.ones(SHAPE, np.float32),
        dynamic=np.zeros(SHAPE, bool),
        motion_px=np.zeros((*SHAPE, 2), np.float32),
    )


def developed(level: float, imaging: Imaging, frame: int = 0) -> np.ndarray:
    return develop(even(level), imaging, frame, rng=np.random.default_rng(4)).astype(float)


def test_more_light_is_brighter_and_gain_is_light() -> None:
    plain = Imaging(gain=ONES)
    levels = [developed(level, plain).mean() for level in (0.0, 0.05, 0.2, 0.4, 0.8, 3.0)]
    assert levels[0] == 0
    assert (np.diff(levels) > 5).all()
    doubled = Imaging(gain=np.stack([ONES[0], 2 * ONES[0]]))
    np.testing.assert_array_equal(developed(0.2, doubled, 1), developed(0.4, plain))


def test_a_tint_colours_and_no_saturation_is_grey() -> None:
    red = np.tile(np.array([2.0, 1, 1], np.float32), (2, 1))
    tinted = developed(0.2, Imaging(gain=red))[0, 0]
    assert tinted[0] > tinted[1] + 20
    grey = developed(0.2, Imaging(gain=red, saturation=0.0))[0, 0]
    np.testing.assert_allclose(grey, tinted.mean(), atol=1)


def test_noise_has_the_spread_that_was_asked_for() -> None:
    dark = developed(0.0, Imaging(gain=ONES, read_noise=0.004))
    assert dark.std() > 1  # read noise is there without light
    quiet, loud = (developed(0.3, Imaging(gain=ONES, shot_noise=strength)).std() for strength in (0.01, 0.03))
    assert quiet > 0.5
    assert loud == pytest.approx(3 * quiet, rel=0.15)
    assert abs(developed(0.3, Imaging(gain=ONES, shot_noise=0.03)).mean() - developed(0.3, Imaging(gain=ONES)).mean()) < 1


def test_corners_darken_under_a_vignette() -> None:
    image = developed(0.3, Imaging(gain=ONES, vignette=0.6))[..., 0]
    assert image[10, 15] > image[0, 15] > image[0, 0]


def test_channels_keep_their_order_through_compression() -> None:
    red = np.tile(np.array([3.0, 1, 0.3], np.float32), (2, 1))
    through, plain = (developed(0.2, Imaging(gain=red, jpeg_quality=quality)) for quality in (95, None))
    np.testing.assert_allclose(through, plain, atol=4)


@pytest.mark.parametrize("changes", [{"shutter": 1.5}, {"vignette": -0.1}, {"detail": 0.0}, {"jpeg_quality": 0}])
def test_settings_of_no_camera_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Imaging(gain=ONES, **changes)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="gain"):
        Imaging(gain=np.ones(3, np.float32))
