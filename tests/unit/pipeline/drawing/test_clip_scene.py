import numpy as np
import pytest

from pipeline.drawing.clip_scene import ClipScene
from pipeline.errors import DataError
from pipeline.records import ClipSample, TrackLabels

SAMPLE = ClipSample(
    key="k",
    source="s",
    split="train",
    index=0,
    frames=np.zeros((4, 6, 8, 3), np.uint8),
    frame_indices=np.arange(4),
    frame_times=np.arange(4) / 30,
    supervision="pseudo",
)


def labels(num_frames: int = 4) -> TrackLabels:
    queries, tracks = np.zeros((2, 3), np.float32), np.zeros((num_frames, 2, 2), np.float32)
    return TrackLabels(queries=queries, tracks_px=tracks, visibility=np.ones((num_frames, 2), bool))


COLOURS = np.zeros((2, 3), np.uint8)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"labels": labels()}, "one of them is missing"),
        ({"labels": labels(3), "colours": COLOURS}, "4 frames, labels of 3"),
        ({"labels": labels(), "colours": COLOURS[:1]}, "colours"),
        ({"labels": labels(), "colours": COLOURS, "weights": np.zeros(3, np.float32)}, "weights"),
        ({"labels": labels(), "colours": COLOURS, "ncc": np.zeros((3, 2), np.float32)}, "ncc"),
    ],
)
def test_parts_of_another_clip_are_refused(parts, message):
    with pytest.raises(DataError, match=message):
        ClipScene(sample=SAMPLE, report="", **parts)


def test_a_clip_alone_is_a_scene():
    assert ClipScene(sample=SAMPLE, report="").labels is None
