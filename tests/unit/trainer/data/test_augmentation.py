"""Random changes of a clip: its frames, its rectangle, its colours."""

import itertools
import math

import numpy as np
import pytest

from pipeline.records.pixel_transforms import Crop
from trainer.data.augmentation import (
    colour_matrix,
    draw_colour_matrix,
    draw_crop,
    draw_window,
    largest_size_of_aspect,
    recolour,
    shift_crop_onto,
    strided_frames,
)
from trainer.data.config import AS_STORED, AugmentConfig


@pytest.mark.parametrize(
    ("num_stored", "first", "num_frames", "stride", "backwards", "expected"),
    [
        (10, 2, 3, 2, False, [2, 4, 6]),
        (10, 4, 3, 2, True, [4, 2, 0]),
        (10, 7, 3, 2, False, [7, 5, 3]),  # no room ahead
        (10, 5, 4, 3, False, [5, 3, 7, 9]),  # three frames at stride 3 are too few: stride 2, on both sides
        (5, 2, 5, 1, False, [2, 0, 1, 3, 4]),  # on both sides
        (3, 1, 7, 4, False, [1, 0, 2, 1, 0, 2, 1]),  # too short: again and again
        (4, 3, 1, 1, False, [3]),
    ],
)
def test_windows_by_hand(num_stored, first, num_frames, stride, backwards, expected):
    assert strided_frames(num_stored, first, num_frames, stride=stride, backwards=backwards).tolist() == expected


def test_every_window_begins_where_asked_and_repeats_no_frame_that_it_need_not():
    for num_stored, num_frames, stride in itertools.product(range(1, 13), range(1, 10), range(1, 5)):
        for first, backwards in itertools.product(range(num_stored), (False, True)):
            frames = strided_frames(num_stored, first, num_frames, stride=stride, backwards=backwards)
            assert len(frames) == num_frames
            assert frames[0] == first
            assert len(set(frames.tolist())) == min(num_frames, num_stored)
            assert ((frames >= 0) & (frames < num_stored)).all()
            gaps = np.diff(np.unique(frames))
            assert len(set(gaps.tolist())) <= 1
            assert (gaps <= stride).all()


def test_a_window_begins_only_at_frames_that_something_speaks_for():
    starts = np.array([0, 3.0, 0, 0, 1.0, 0])
    draw = np.random.default_rng(0)
    firsts = [draw_window(starts, 2, AS_STORED, draw)[0] for _ in range(400)]
    assert set(firsts) == {1, 4}
    assert 0.65 < np.mean(np.array(firsts) == 1) < 0.85


def test_time_runs_backwards_only_where_it_may():
    starts, draw = np.array([0, 0, 1.0, 0, 0]), np.random.default_rng(0)
    either = {tuple(draw_window(starts, 3, AugmentConfig(), draw)) for _ in range(50)}
    assert either == {(2, 3, 4), (2, 1, 0)}
    assert {tuple(draw_window(starts, 3, AS_STORED, draw)) for _ in range(50)} == {(2, 3, 4)}


@pytest.mark.parametrize(
    ("stored", "size", "expected"), [((60, 80), (30, 40), (60, 80)), ((60, 80), (56, 28), (60, 30)), ((60, 80), (14, 56), (20, 80))]
)
def test_the_largest_rectangle_of_an_aspect(stored, size, expected):
    assert largest_size_of_aspect(stored, size) == expected


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
    moved = shift_crop_onto(Crop(left=20, top=10, width=30, height=20), (60, 80), np.array(place))
    assert (moved.left, moved.top) == expected


GREY = np.full((1, 2, 3, 3), 90, np.uint8)


def test_no_change_is_the_identity():
    np.testing.assert_allclose(colour_matrix(1, 1, 1, 0), np.eye(3, 4), atol=1e-12)
    assert recolour(GREY, draw_colour_matrix(AS_STORED, np.random.default_rng(0))) is GREY


def test_greys_stay_grey_under_saturation_and_hue():
    np.testing.assert_array_equal(recolour(GREY, colour_matrix(1, 1, 0.3, 0.7)), GREY)


def test_a_third_of_a_turn_exchanges_the_colours():
    turned = colour_matrix(1, 1, 1, 2 * math.pi / 3)[:, :3] @ [10.0, 20.0, 30.0]
    assert sorted(turned.round(9).tolist()) == [10, 20, 30]
    assert turned.round(9).tolist() != [10, 20, 30]


def test_brightness_and_contrast_by_hand():
    assert (recolour(GREY, colour_matrix(1.5, 1, 1, 0)) == 135).all()
    assert (recolour(GREY, colour_matrix(1, 0.6, 1, 0)) == 105).all()  # 127.5 + 0.6 (90 - 127.5)
    assert (recolour(GREY, colour_matrix(4, 1, 1, 0)) == 255).all()
    colour = np.array([[[[200, 100, 50]]]], np.uint8)
    np.testing.assert_allclose(recolour(colour, colour_matrix(1, 1, 0, 0))[0, 0, 0], 0.299 * 200 + 0.587 * 100 + 0.114 * 50, atol=0.6)


def test_one_change_for_all_frames():
    frames = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 3)).astype(np.uint8).repeat(3, 0)
    changed = recolour(frames, draw_colour_matrix(AugmentConfig(), np.random.default_rng(1)))
    assert (changed == changed[:1]).all()
    assert (changed != frames).any()
