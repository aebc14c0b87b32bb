"""Windows of a sequence: whole, in order, overlapping, and no more of it held than one."""

from itertools import count, islice

import pytest

from pipeline.errors import ConfigError
from trainer.inference import WindowPlan


def spans(length: int, overlap: int, num_items: int) -> list[tuple[int, int, int]]:
    return [(each.first, len(each.items), each.shared) for each in WindowPlan(length=length, overlap=overlap).cut(range(num_items))]


def test_a_sequence_that_fits_is_one_window():
    assert spans(5, 2, 3) == [(0, 3, 0)]
    assert spans(5, 2, 5) == [(0, 5, 0)]
    assert spans(5, 2, 0) == []


def test_the_last_window_is_moved_back_to_full_length():
    assert spans(5, 2, 11) == [(0, 5, 0), (3, 5, 2), (6, 5, 2)]
    assert spans(5, 2, 12) == [(0, 5, 0), (3, 5, 2), (6, 5, 2), (7, 5, 4)]


@pytest.mark.parametrize(("length", "overlap"), [(1, 0), (2, 1), (7, 3), (8, 6)])
def test_every_item_is_new_once_and_the_count_is_known(length, overlap):
    plan = WindowPlan(length=length, overlap=overlap)
    for num_items in range(30):
        windows = list(plan.cut(range(num_items)))
        assert [item for window in windows for item in window.items[window.shared :]] == list(range(num_items))
        assert all(window.items == tuple(range(window.first, window.first + len(window.items))) for window in windows)
        assert len(windows) == plan.count(num_items)


def test_an_endless_sequence_is_read_as_far_as_needed():
    items = count()
    assert [window.first for window in islice(WindowPlan(length=4, overlap=1).cut(items), 3)] == [0, 3, 6]
    assert next(items) == 10


def test_windows_that_never_advance_are_refused():
    with pytest.raises(ConfigError, match="expected 0 to 3"):
        WindowPlan(length=4, overlap=4)
