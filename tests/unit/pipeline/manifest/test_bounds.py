import pytest

from pipeline.errors import DataError
from pipeline.manifest.timestamps import Bounds, bounds_of, span_bounds


def test_seconds_stay_seconds():
    assert bounds_of("0:01", "2.5", start_frame=None, end_frame=None, base_fps=30) == Bounds(start_s=1.0, end_s=2.5)


def test_frames_at_a_known_rate_become_seconds():
    assert bounds_of(None, None, start_frame=85528, end_frame=87328, base_fps=30) == Bounds(start_s=2850.933333, end_s=2910.933333)


def test_frames_without_a_rate_are_frames_of_the_video():
    assert bounds_of(None, None, start_frame="10", end_frame="20", base_fps=None) == Bounds(start_frame=10, end_frame=20)


def test_both_kinds_may_differ_by_one_frame_and_no_more():
    assert bounds_of(1.0, 2.0, start_frame=24, end_frame=51, base_fps=25) == Bounds(start_s=1.0, end_s=2.0)
    with pytest.raises(DataError, match="differ by more than one frame"):
        bounds_of(1.0, 2.06, start_frame=25, end_frame=50, base_fps=25)
    with pytest.raises(DataError, match=r"2 s and frame 52 at 25 fps \(2.08 s\) differ by more than one frame"):
        bounds_of(1.0, 2.0, start_frame=25, end_frame=52, base_fps=25)


def test_both_kinds_without_a_rate_cannot_be_compared():
    with pytest.raises(DataError, match="--frame-base-fps"):
        bounds_of(1.0, 2.0, start_frame=30, end_frame=60, base_fps=None)


@pytest.mark.parametrize(("start", "end"), [(2, 2), (3, 2), (None, 0)])
def test_a_clip_must_end_after_its_start(start, end):
    with pytest.raises(DataError, match="not after its start"):
        bounds_of(start, end, start_frame=None, end_frame=None, base_fps=None)


def test_an_open_end_is_the_end_of_the_file():
    assert bounds_of(2, None, start_frame=None, end_frame=None, base_fps=None) == Bounds(start_s=2.0)


@pytest.mark.parametrize("span", [[1], [1, 2, 3], 5, "12", [1, None]])
def test_a_span_is_a_pair_of_times(span):
    with pytest.raises(DataError):
        span_bounds(span)
