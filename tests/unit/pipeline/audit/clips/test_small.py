"""Sizes, and the small reader of a stored clip."""

import numpy as np
import pytest

from pipeline.audit.clips.small import SmallClip, shrink, small_size
from pipeline.records import ClipRecord
from pipeline.shards.index import video_sha256


@pytest.mark.parametrize(
    ("size", "small"), [((720, 1280), (144, 256)), ((1280, 720), (256, 144)), ((96, 160), (96, 160)), ((2, 4000), (1, 256))]
)
def test_the_long_side_is_at_most_256_and_nothing_is_enlarged(size, small):
    assert small_size(*size) == small


def test_shrinking_averages_areas():
    frame = np.zeros((512, 512, 3), np.uint8)
    frame[::2, ::2] = 200
    small = shrink(frame)
    assert small.rgb.shape == (256, 256, 3)
    assert (small.grey == 50).all()
    assert small.thumb.shape == (24, 32)
    assert small.to_raster == 1.0
    assert shrink(frame[:128, :128]).to_raster == 2.0


def test_a_stored_clip_is_read_small(make_video):
    data = make_video(num_frames=5, size=(192, 320)).read_bytes()
    record = ClipRecord(
        key="a-w0",
        source="a.mp4",
        source_id="a",
        split="train",
        start_s=0.0,
        end_s=5 / 30,
        fps=30.0,
        frames=5,
        width=320,
        height=192,
        codec="h264",
        video="foreign",
        sha256=video_sha256(data),
        timestamps=tuple(t / 30 for t in range(5)),
    )
    clip = SmallClip(data, record)
    assert clip.shape == (5, 154, 256)
    frames = list(clip)
    assert [frame.shape for frame in frames] == [(154, 256, 3)] * 5
    assert not np.array_equal(frames[0], frames[4])
