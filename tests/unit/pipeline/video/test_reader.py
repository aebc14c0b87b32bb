"""Reading a stored clip: what its record promises, or an error."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.records import ClipRecord
from pipeline.video.copy import copy_spans
from pipeline.video.groups import Span
from pipeline.video.probe import probe_video
from pipeline.video.reader import StoredClip, read_clip_frames


@pytest.fixture
def clip(make_video, play_with_pyav):
    """(stored bytes, record, true frames) of frames 10..29 of an open-GOP source, where the lead-in is 10 frames or so."""
    path = make_video(num_frames=60, form="h264-open-gop")
    probe = probe_video(str(path), path.name)
    ((_, data),) = copy_spans(str(path), path.name, probe, [Span(10, 20)])
    record = ClipRecord(
        key="a-w0000", source="a.mp4", source_id="a", split="train", start_s=10 / 30, end_s=1.0, fps=30.0, frames=20, width=160, height=96,
        codec="h264", video="copy", sha256=hashlib.sha256(data).hexdigest(), timestamps=tuple(probe.times_s[10:30].tolist()),
    )  # fmt: skip
    return data, record, play_with_pyav(path)[10:30]


def test_all_frames_or_some_of_them(clip):
    data, record, truth = clip
    np.testing.assert_array_equal(read_clip_frames(data, record), truth)
    np.testing.assert_array_equal(read_clip_frames(data, record, indices=[0, 7, 19]), truth[[0, 7, 19]])


def test_a_stored_clip_may_be_read_twice(clip):
    data, record, truth = clip
    reader = StoredClip(data, record)
    assert reader.shape == truth.shape[:3]
    for _ in range(2):
        np.testing.assert_array_equal(np.stack(list(reader)), truth)


def test_resizing_keeps_pixel_centres(clip):
    data, record, truth = clip
    half = read_clip_frames(data, record, size=(48, 80)).mean(axis=-1)
    expected = truth.reshape(20, 48, 2, 80, 2, 3).mean(axis=(2, 4, 5))  # pixel x of the half-size picture covers 2x and 2x+1
    assert np.abs(half - expected).mean() < 2.5
    for shift in (-1, 1):
        assert np.abs(half - np.roll(expected, shift, axis=2)).mean() > 4 * np.abs(half - expected).mean()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"frames": 25, "timestamps": tuple(index / 30 for index in range(25))}, "20 frames decode, expected 25"),
        ({"width": 80}, "160x96, expected 80x96"),
        ({"timestamps": tuple(index / 24 for index in range(20))}, "lies at"),
    ],
)
def test_a_video_that_is_not_what_the_record_says_is_refused(clip, change, says):
    data, record, _ = clip
    with pytest.raises(DataError, match=says) as raised:
        read_clip_frames(data, replace(record, **change))
    assert "a-w0000" in str(raised.value)


def test_frames_that_the_clip_does_not_have_are_refused(clip):
    data, record, _ = clip
    with pytest.raises(DataError, match="indices below 20"):
        read_clip_frames(data, record, indices=[5, 20])
