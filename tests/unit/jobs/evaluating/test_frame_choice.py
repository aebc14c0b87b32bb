"""Frames that protocols take of a clip, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.evaluating.frame_choice import FrameChoice
from pipeline.errors import ConfigError
from pipeline.records import ClipRecord

CLIP = ClipRecord(
    key="k", source="s", source_id="s", split="test", start_s=0.0, end_s=1.0, fps=20.0, frames=20, width=4, height=4, codec="png",
    video="images", sha256="0", timestamps=tuple(t / 20 for t in range(20)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (FrameChoice(), [*range(20)]),
        (FrameChoice(every=7), [0, 7, 14]),
        (FrameChoice(every=3, first=4), [0, 3, 6, 9]),
        (FrameChoice(skip=17, first=110), [17, 18, 19]),
        (FrameChoice(skip=2, every=9), [2, 11]),
    ],
)
def test_keyframes_and_spans(choice, expected):
    assert choice.of_clip(CLIP).tolist() == expected


def test_a_clip_of_keyframes_is_counted_in_its_recordings_frames():
    sparse = replace(CLIP, extra={"stride": 20})  # holds frames 0, 20, 40, ..., 380 of its recording
    assert FrameChoice(every=40).of_clip(sparse).tolist() == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert FrameChoice(every=200, skip=20).of_clip(sparse).tolist() == [1, 11]
    with pytest.raises(ConfigError, match="clip k holds every 20-th frame of its recording, asked for is every 30-th .* --option every=1"):
        FrameChoice(every=30).of_clip(sparse)
    with pytest.raises(ConfigError, match="every=1"):
        FrameChoice().of_clip(sparse)


def test_frames_are_drawn_by_the_clips_key_without_repetition():
    drawn = FrameChoice(drawn=10).of_clip(CLIP)
    assert len(set(drawn.tolist())) == 10
    np.testing.assert_array_equal(drawn, np.sort(drawn))
    np.testing.assert_array_equal(drawn, FrameChoice(drawn=10).of_clip(CLIP))
    assert drawn.tolist() != FrameChoice(drawn=10).of_clip(replace(CLIP, key="other")).tolist()
    assert FrameChoice(drawn=21).of_clip(CLIP) == "fewer than 21 frames"
    assert FrameChoice(skip=20).of_clip(CLIP) == "no frame from 20 on"
    with pytest.raises(ConfigError, match="drawn is 1, expected at least 2"):
        FrameChoice(drawn=1)
