import numpy as np

from pipeline.drawing.tracks import tail_length, tails

POINTS = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((1, 3, 2), np.float32) + np.array([0, 10, 20], np.float32)[:, None]


def test_a_tail_reaches_back_to_where_its_point_was_hidden():
    seen = np.ones((6, 3), bool)
    seen[1, 1] = False  # seen again from frame 2 on
    seen[4, 2] = False  # not seen in the frame before
    lines, tracks = tails(POINTS, seen, 5, length=8)
    assert tracks.tolist() == [0, 1]
    assert lines[0][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert lines[1][:, 0].tolist() == [12, 13, 14, 15]


def test_a_tail_is_no_longer_than_asked_and_absent_in_the_first_frame():
    seen = np.ones((6, 3), bool)
    lines, tracks = tails(POINTS, seen, 4, length=2)
    assert [line[:, 0].tolist() for line in lines] == [[2, 3, 4], [12, 13, 14], [22, 23, 24]]
    assert tails(POINTS, seen, 0, length=2)[1].tolist() == []


def test_a_point_that_is_hidden_now_has_no_tail():
    seen = np.ones((6, 3), bool)
    seen[5, 0] = False
    assert tails(POINTS, seen, 5, length=3)[1].tolist() == [1, 2]


def test_tails_get_shorter_where_all_of_them_would_be_large():
    seen = np.ones((10, 10), bool)  # 100 points
    assert tail_length(seen, most=8, bytes_per_point=8, budget=100 * 8 * 9) == 8
    assert tail_length(seen, most=8, bytes_per_point=8, budget=100 * 8 * 5) == 4
    assert tail_length(seen, most=8, bytes_per_point=8, budget=1) == 1
    assert tail_length(np.zeros((10, 10), bool), most=8, bytes_per_point=8, budget=1000) == 8
