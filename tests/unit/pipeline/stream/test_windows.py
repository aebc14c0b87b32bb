from collections import Counter

import pytest

from pipeline.stream.config import StreamConfig
from pipeline.stream.windows import is_too_short, window_indices


def make_config(**options):
    return StreamConfig(root="nowhere", **options)


def test_a_window_lies_inside_the_clip_at_the_stride():
    for index in range(200):
        window = window_indices(make_config(num_frames=3, frame_stride=2), index, 9)
        assert window.dtype == "int64"
        assert (window - window[0]).tolist() == [0, 2, 4]
        assert 0 <= window[0] <= 4


def test_every_possible_start_is_drawn_about_equally_often():
    starts = Counter(int(window_indices(make_config(num_frames=3), index, 6)[0]) for index in range(2000))
    assert set(starts) == {0, 1, 2, 3}
    assert all(400 < count < 600 for count in starts.values())  # 500 +- 5 standard deviations


def test_a_window_depends_on_seed_and_index_alone():
    window = window_indices(make_config(num_frames=4), 12, 50)
    assert (window == window_indices(make_config(num_frames=4, rank=1, world_size=3, size=(8, 8)), 12, 50)).all()
    others = {int(window_indices(make_config(num_frames=4, seed=seed), 12, 50)[0]) for seed in range(20)}
    assert len(others) > 5


def test_the_draw_is_pinned_for_a_saved_run_to_be_repeated():
    assert [int(window_indices(make_config(num_frames=4), index, 1000)[0]) for index in range(4)] == [94, 945, 653, 380]


def test_a_clip_that_just_fits_has_one_window():
    assert window_indices(make_config(num_frames=3, frame_stride=2), 5, 5).tolist() == [0, 2, 4]


def test_a_short_clip_comes_whole_at_the_stride():
    assert window_indices(make_config(num_frames=4, frame_stride=2), 5, 5).tolist() == [0, 2, 4]
    assert window_indices(make_config(num_frames=4, frame_stride=2), 5, 6).tolist() == [0, 2, 4]


def test_whole_clips_are_delivered_when_no_length_is_asked_for():
    assert window_indices(make_config(num_frames=None), 5, 4).tolist() == [0, 1, 2, 3]
    assert window_indices(make_config(num_frames=None, frame_stride=3), 5, 7).tolist() == [0, 3, 6]


@pytest.mark.parametrize(("num_stored", "expected"), [(4, True), (5, False)])
def test_only_skip_leaves_out_clips_shorter_than_a_window(num_stored, expected):
    assert is_too_short(make_config(num_frames=3, frame_stride=2, short_clips="skip"), num_stored) == expected
    assert not is_too_short(make_config(num_frames=3, frame_stride=2), num_stored)
    assert not is_too_short(make_config(num_frames=None, short_clips="skip"), 1)
