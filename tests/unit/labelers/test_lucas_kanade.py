"""What is lucas-kanade's own: its options."""

import pytest

from labelers import make_labeler
from pipeline.errors import ConfigError


@pytest.mark.parametrize(("option", "value"), [("window", 2), ("window", 21.0), ("pyramid_levels", -1), ("pyramid_levels", True)])
def test_window_and_levels_are_whole_numbers_in_range(option, value):
    with pytest.raises(ConfigError, match=f"{option} is {value}, expected a whole number"):
        make_labeler("lucas-kanade", **{option: value})


def test_more_levels_catch_a_longer_step(moving_plane):
    clip = moving_plane([(0, 40, 48)], velocity=(14, 0), num_frames=2)
    found = [make_labeler("lucas-kanade", window=9, pyramid_levels=levels).label([clip])[0].tracks_px[1, 0, 0] for levels in (0, 3)]
    assert abs(found[1] - 54) < 0.1
    assert abs(found[0] - 54) > 1
