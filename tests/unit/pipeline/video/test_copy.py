"""Copied clips show exactly the source's frames, in our reader and in any player."""

from fractions import Fraction

import numpy as np
import pytest

from pipeline.video.copy import copy_spans
from pipeline.video.groups import Span
from pipeline.video.probe import probe_video

VARIABLE_RATE = (1000 * np.cumsum([3, 3, 4, 1, 7, 3, 3, 3, 12, 5] * 8)).tolist()
SOURCES = {
    "constant rate": {"form": "h264"},
    "B-frames": {"form": "h264-b-frames"},
    "open GOP": {"form": "h264-open-gop"},
    "open-GOP HEVC": {"form": "hevc-open-gop"},
    "variable rate": {"form": "h264-b-frames", "ticks": VARIABLE_RATE, "time_base": Fraction(1, 90_000)},
    "non-zero start": {"form": "h264-b-frames", "ticks": list(range(1000, 1080)), "name": "late.mkv"},
    "rotated": {"form": "h264-b-frames", "rotation": 90},
    "coarse clock": {"form": "h264-open-gop", "name": "a.mkv"},
}


@pytest.mark.parametrize("options", SOURCES.values(), ids=SOURCES.keys())
def test_every_player_shows_the_source_frames_and_no_others(options, make_video, play_with_pyav, play_with_opencv):
    path = make_video(num_frames=80, **options)
    source, source_opencv = play_with_pyav(path), play_with_opencv(path)
    assert len(source) == 80
    probe = probe_video(str(path), path.name)
    spans = [Span(0, 20), Span(1, 1), Span(10, 30), Span(23, 2), Span(30, 30), Span(47, 20), Span(72, 8), Span(79, 1), Span(0, 80)]
    done = dict(copy_spans(str(path), path.name, probe, spans))
    assert sorted(done) == list(range(len(spans)))
    for position, span in enumerate(spans):
        np.testing.assert_array_equal(play_with_pyav(done[position]), source[span.first : span.end], err_msg=str(span))
        np.testing.assert_array_equal(play_with_opencv(done[position]), source_opencv[span.first : span.end], err_msg=str(span))


def test_a_key_frame_every_240_frames_in_open_gop_hevc(make_video, play_with_pyav):
    path = make_video(num_frames=500, form="hevc-open-gop-240", size=(64, 96))
    source, probe = play_with_pyav(path), probe_video(str(path), path.name)
    assert len(probe.key_pts) == 3
    spans = [Span(first, min(48, 500 - first)) for first in range(0, 500, 48)]
    for position, data in copy_spans(str(path), path.name, probe, spans):
        span = spans[position]
        np.testing.assert_array_equal(play_with_pyav(data), source[span.first : span.end], err_msg=str(span))


def test_a_later_span_is_cut_without_reading_from_the_front(make_video, play_with_pyav):
    path = make_video(num_frames=80, form="h264-open-gop")
    probe = probe_video(str(path), path.name)
    ((_, data),) = copy_spans(str(path), path.name, probe, [Span(70, 10)])
    np.testing.assert_array_equal(play_with_pyav(data), play_with_pyav(path)[70:80])


def test_a_clip_of_a_clip_is_still_exact(make_video, play_with_pyav, tmp_path):
    path = make_video(num_frames=80, form="h264-open-gop")
    ((_, first_cut),) = copy_spans(str(path), path.name, probe_video(str(path), path.name), [Span(30, 40)])
    again = tmp_path / "again.mp4"
    again.write_bytes(first_cut)
    probe = probe_video(str(again), again.name)
    assert probe.num_frames == 40  # the lead-in is there, but no frame of it counts
    ((_, second_cut),) = copy_spans(str(again), again.name, probe, [Span(5, 20)])
    np.testing.assert_array_equal(play_with_pyav(second_cut), play_with_pyav(path)[35:55])


def test_the_same_cut_is_the_same_bytes(make_video):
    path = make_video(num_frames=60, form="h264-open-gop")
    probe = probe_video(str(path), path.name)
    cuts = [dict(copy_spans(str(path), path.name, probe, [Span(13, 20)]))[0] for _ in range(2)]
    assert cuts[0] == cuts[1]


@pytest.mark.parametrize("number", [0, *(pytest.param(number, marks=pytest.mark.soak) for number in range(1, 6))])
def test_the_six_real_clips_bit_by_bit(number, real_videos, play_with_pyav):
    path = real_videos[number % len(real_videos)]
    source, probe = play_with_pyav(path), probe_video(str(path), path.name)
    spans = [Span(first, min(24, probe.num_frames - first)) for first in range(0, probe.num_frames, 24)]
    for position, data in copy_spans(str(path), path.name, probe, spans):
        np.testing.assert_array_equal(play_with_pyav(data), source[spans[position].first : spans[position].end], err_msg=path.name)
