import numpy as np
import pytest

from pipeline.synthetic.filming.imaging import blur_motion

SHAPE = (40, 48)


def streaks(x: float, y: float = 0.0) -> np.ndarray:
    return np.tile(np.array([x, y], np.float32), (*SHAPE, 1))


def test_what_stands_still_stays_as_it_is() -> None:
    image = np.random.default_rng(0).random((*SHAPE, 3), np.float32)
    assert blur_motion(image, np.ones(SHAPE, np.float32), streaks(0.1)) is image


@pytest.mark.parametrize(("x", "y"), [(9.0, 0.0), (0.0, 9.0)])
def test_a_line_across_the_motion_is_spread_over_the_streak_and_keeps_its_light(x: float, y: float) -> None:
    image = np.zeros((*SHAPE, 3), np.float32)
    image[20 if y else slice(None), slice(None) if y else 20] = 1
    blurred = blur_motion(image, np.ones(SHAPE, np.float32), streaks(x, y))[..., 0]
    profile = blurred[:, 24] if y else blurred[20]
    assert profile.sum() == pytest.approx(1, rel=0.05)
    assert (np.flatnonzero(profile > 0.02) - 20).min() in (-5, -4)
    assert (np.flatnonzero(profile > 0.02) - 20).max() in (4, 5)
    assert (profile * np.arange(len(profile))).sum() / profile.sum() == pytest.approx(20, abs=0.1)


def test_a_mover_streaks_over_its_surroundings_and_they_do_not_streak_over_it() -> None:
    image, depth = np.zeros((*SHAPE, 3), np.float32), np.full(SHAPE, 10, np.float32)
    mover = np.s_[14:26, 18:30]
    image[mover], depth[mover] = 1, 2
    moving = np.zeros((*SHAPE, 2), np.float32)
    moving[mover] = [8, 0]
    blurred = blur_motion(image, depth, moving)[20, :, 0]
    assert blurred[16] == pytest.approx(0.25, abs=0.15)  # two pixels beside it, which it covers for a quarter of the time
    assert blurred[23:25].min() > 0.99  # within it
    assert blurred[:12].max() == 0
    panned = np.where(depth[..., None] > 5, np.array([8, 0], np.float32), np.float32(0))
    followed = blur_motion(image, depth, panned)[20, :, 0]
    assert followed[20:28].min() > 0.9  # a mover that the camera follows stays sharp before a streaking background


def test_light_neither_grows_nor_fades_in_an_even_picture() -> None:
    rng = np.random.default_rng(1)
    even = np.full((*SHAPE, 3), 0.7, np.float32)
    moving = rng.uniform(-14, 14, (*SHAPE, 2)).astype(np.float32)
    np.testing.assert_allclose(blur_motion(even, rng.uniform(0, 9, SHAPE).astype(np.float32), moving), 0.7, rtol=1e-5)
