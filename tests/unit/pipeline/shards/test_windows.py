"""From spans to clips: arithmetic worked by hand."""

from fractions import Fraction

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.records import ClipSpec
from pipeline.shards.windows import frames_of, snapped_windows, split_at, windows_of
from pipeline.video.groups import DecodingOrder, Span
from pipeline.video.probe import VideoProbe


def probe_of(pts, time_base=Fraction(1, 30)) -> VideoProbe:
    pts = np.array(pts, np.int64)
    return VideoProbe(
        codec="h264", pixel_format="yuv420p", width=64, height=48, quarter_turns=0,
        time_base=time_base, pts=pts, key_pts=pts[::10], video_bytes=9
    )  # fmt: skip


def spec(**bounds) -> ClipSpec:
    return ClipSpec(source_uri="/v/a.mp4", relative_uri="a.mp4", source_id="a", row=3, **bounds)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, Span(0, 300)),
        ({"start_s": 1.0, "end_s": 2.0}, Span(30, 30)),
        ({"start_s": 1.0}, Span(30, 270)),
        ({"start_s": 0.999, "end_s": 1.999}, Span(30, 30)),  # half a frame either way
        ({"start_s": 2850.933333 - 2850.0, "end_s": 9.4}, Span(28, 254)),  # Sekai's six decimals
        ({"start_frame": 10, "end_frame": 20}, Span(10, 10)),
        ({"end_s": 10.3}, Span(0, 300)),  # rounded up by the manifest: the video's own end counts
    ],
)
def test_the_frames_that_a_row_asks_for(bounds, expected):
    assert frames_of(spec(**bounds), probe_of(range(300))) == expected


def test_times_count_from_the_first_frame():
    assert frames_of(spec(start_s=1.0, end_s=2.0), probe_of(range(5000, 5300))) == Span(30, 30)


def test_a_variable_rate_is_cut_by_time():
    pts = [0, 1, 2, 10, 11, 20, 30, 40, 50, 60]  # tenths of a second
    assert frames_of(spec(start_s=1.0, end_s=3.0), probe_of(pts, Fraction(1, 10))) == Span(3, 3)


@pytest.mark.parametrize("bounds", [{"start_s": 10.0}, {"start_s": 9.0, "end_s": 11.0}, {"start_frame": 290, "end_frame": 310}])
def test_a_row_beyond_the_end_is_named(bounds):
    with pytest.raises(DataError, match=r"row 3 \(a.mp4\): asks for .*fix or drop the row"):
        frames_of(spec(**bounds), probe_of(range(300)))


def test_windows_cover_the_span_and_the_tail_keeps_its_length():
    assert windows_of(Span(100, 110), 48, 48, 6) == [Span(100, 48), Span(148, 48), Span(196, 14)]
    assert windows_of(Span(0, 100), 48, 48, 6) == [Span(0, 48), Span(48, 48)]  # a tail of 4 is left out
    assert windows_of(Span(0, 30), 48, 48, 6) == [Span(0, 30)]
    assert windows_of(Span(0, 100), 48, 24, 6) == [Span(0, 48), Span(24, 48), Span(48, 48), Span(72, 28)]
    assert windows_of(Span(0, 96), 48, 24, 6) == [Span(0, 48), Span(24, 48), Span(48, 48)]  # nothing that lies within another
    assert windows_of(Span(0, 200), 48, 100, 6) == [Span(0, 48), Span(100, 48)]
    assert windows_of(Span(5, 77), 0, 48, 6) == [Span(5, 77)]


def test_spans_are_split_at_cuts_only_inside():
    assert split_at(Span(10, 50), (5, 10, 30, 45, 60, 70)) == [Span(10, 20), Span(30, 15), Span(45, 15)]
    assert split_at(Span(0, 9), ()) == [Span(0, 9)]


def order_of(packet_pts, key_pts) -> DecodingOrder:
    return DecodingOrder.of(pts=np.sort(np.array(packet_pts)), packet_pts=np.array(packet_pts), clean_key_pts=np.array(key_pts))


def test_snapped_clips_take_whole_groups_as_many_as_fit():
    order = order_of(range(40), [0, 6, 12, 18, 30])
    assert snapped_windows(Span(0, 40), order, 12, 2) == [Span(0, 12), Span(12, 6), Span(18, 12), Span(30, 10)]
    assert snapped_windows(Span(3, 20), order, 12, 2) == [Span(6, 12), Span(18, 5)]  # from the first key frame of the span on
    assert snapped_windows(Span(0, 40), order, 8, 2) == [Span(0, 6), Span(6, 6), Span(12, 6), Span(18, 8), Span(30, 8)]  # rests left out
    assert snapped_windows(Span(0, 40), order, 0, 2) == [Span(0, 40)]


def test_a_snapped_clip_has_no_stragglers():
    packet_pts = [0, 3, 1, 2, 6, 4, 5, 7]  # 3 and 6 are stored before what is shown before them
    assert snapped_windows(Span(0, 8), order_of(packet_pts, [0]), 6, 2) == [Span(0, 4)]  # 0..5 would need 6


def test_an_open_group_is_no_place_to_begin():
    packet_pts = [0, 1, 2, 5, 3, 4, 6, 7]  # 3 and 4 lie behind the key frame 5
    order = order_of(packet_pts, [0, 5])
    assert snapped_windows(Span(0, 8), order, 4, 2) == [Span(0, 3)]
    assert not order.whole(Span(5, 3))
    assert order.whole(Span(0, 8))
