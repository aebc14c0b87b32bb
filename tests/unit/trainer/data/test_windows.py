import itertools

import numpy as np
import pytest

from trainer.data.config import AS_STORED, AugmentConfig
from trainer.data.windows import draw_window, walk


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
    assert walk(num_stored, first, num_frames, stride=stride, backwards=backwards).tolist() == expected


def test_every_window_begins_where_asked_and_repeats_no_frame_that_it_need_not():
    for num_stored, num_frames, stride in itertools.product(range(1, 13), range(1, 10), range(1, 5)):
        for first, backwards in itertools.product(range(num_stored), (False, True)):
            frames = walk(num_stored, first, num_frames, stride=stride, backwards=backwards)
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
