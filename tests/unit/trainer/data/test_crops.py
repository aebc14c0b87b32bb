import numpy as np
import pytest

from trainer.data.clip_views import Crop
from trainer.data.crops import draw_crop, largest_of_aspect, moved_to_hold


@pytest.mark.parametrize(
    ("stored", "size", "expected"), [((60, 80), (30, 40), (60, 80)), ((60, 80), (56, 28), (60, 30)), ((60, 80), (14, 56), (20, 80))]
)
def test_the_largest_rectangle_of_an_aspect(stored, size, expected):
    assert largest_of_aspect(stored, size) == expected


def test_crops_lie_within_the_clip_and_keep_the_aspect():
    draw = np.random.default_rng(0)
    crops = [draw_crop((60, 80), (56, 28), (0.5, 1.0), draw) for _ in range(300)]
    for crop in crops:
        assert 0 <= crop.left <= 80 - crop.width
        assert 0 <= crop.top <= 60 - crop.height
        assert abs(crop.height - 2 * crop.width) <= 1.5
    assert {min(crop.height for crop in crops), max(crop.height for crop in crops)} <= {30, 31, 59, 60}
    assert len({crop.left for crop in crops}) > 30


@pytest.mark.parametrize(
    ("place", "expected"),
    [((25.0, 20.0), (20, 10)), ((5.4, 20.0), (5, 10)), ((79.5, 59.5), (50, 40)), ((-0.5, -0.5), (0, 0)), ((49.4, 29.0), (20, 10))],
)
def test_a_crop_moves_no_farther_than_it_takes(place, expected):
    moved = moved_to_hold(Crop(left=20, top=10, width=30, height=20), (60, 80), np.array(place))
    assert (moved.left, moved.top) == expected
