"""Frames decoded ahead of their reader."""

import threading
import time

import numpy as np
import pytest

from jobs.labeling.read_ahead import ReadAhead
from pipeline.errors import DataError


class Counting:
    """Frames that hold their own number; notes what was read, and fails at one of them if asked."""

    shape = (20, 2, 3)

    def __init__(self, fails_at: int | None = None, frame_s: float = 0.0) -> None:
        self.num_read, self.fails_at, self.frame_s = 0, fails_at, frame_s

    def __iter__(self):
        for t in range(20):
            time.sleep(self.frame_s)
            if t == self.fails_at:
                raise DataError(f"frame {t} is damaged")
            self.num_read += 1
            yield np.full((2, 3, 3), t, np.uint8)


def numbers(reader) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in reader]


def settled(reader: Counting) -> int:
    """How far the reader has got when it goes no further."""
    seen = -1
    while seen != reader.num_read:
        seen = reader.num_read
        time.sleep(0.05)
    return seen


def test_every_pass_gives_all_frames_in_order():
    reader = ReadAhead(Counting(), num_ahead=3)
    assert reader.shape == (20, 2, 3)
    assert numbers(reader) == list(range(20))
    assert numbers(reader) == list(range(20))


def test_frames_are_read_ahead_and_no_farther_than_asked():
    counting = Counting()
    frames = iter(ReadAhead(counting, num_ahead=3))
    next(frames)
    assert settled(counting) == 4
    next(frames)
    assert settled(counting) == 5
    frames.close()


def test_an_error_comes_at_its_frame():
    frames = iter(ReadAhead(Counting(fails_at=5), num_ahead=3))
    for t in range(5):
        assert next(frames)[0, 0, 0] == t
    with pytest.raises(DataError, match="frame 5 is damaged"):
        next(frames)


def test_a_pass_that_is_left_early_ends_its_thread():
    threads = set(threading.enumerate())
    frames = iter(ReadAhead(Counting(), num_ahead=3))
    next(frames)
    assert set(threading.enumerate()) - threads
    frames.close()
    assert not set(threading.enumerate()) - threads


def test_the_time_that_a_reader_waits_for_frames_is_counted_over_all_passes():
    slow, quick = ReadAhead(Counting(frame_s=0.01)), ReadAhead(Counting())
    numbers(slow)
    assert slow.waited_s > 0.15
    numbers(slow)
    assert slow.waited_s > 0.3
    for _ in quick:
        time.sleep(0.01)
    assert quick.waited_s < 0.2
