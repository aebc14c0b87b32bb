"""Records are valid from birth: what is wrong is said with the clip's name."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.records import ClipFrames, ClipRecord, ClipSample, ClipSpec, FramesInMemory, LabelSet, TrackLabels


def make_record(**changes) -> ClipRecord:
    values = {
        "key": "walk-0a1b2c3d-w0000", "source": "walk.mp4", "source_id": "walk", "split": "train", "start_s": 0.0, "end_s": 0.1,
        "fps": 30.0,
        "frames": 3, "width": 8, "height": 6, "codec": "h264", "video": "copy", "sha256": "00", "timestamps": (0.0, 1 / 30, 2 / 30),
    }  # fmt: skip
    return ClipRecord(**{**values, **changes})


def make_labels(**changes) -> TrackLabels:
    values = {
        "queries": np.zeros((2, 3), np.float32),
        "tracks_px": np.zeros((3, 2, 2), np.float32),
        "visibility": np.ones((3, 2), bool),
        "confidence": np.full((3, 2), 0.5, np.float32),
    }
    return TrackLabels(**{**values, **changes})


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ({"start_s": 1.0, "start_frame": 3}, "both in seconds and in frames"),
        ({"start_s": -1.0}, "not negative"),
        ({"start_s": float("nan")}, "finite"),
        ({"start_s": 2.0, "end_s": 2.0}, "must lie after start"),
        ({"end_frame": 0}, "must lie after start"),
    ],
)
def test_bounds_that_cannot_be(bounds, says):
    with pytest.raises(DataError, match=rf"row 7 \(a.mp4\).*{says}"):
        ClipSpec(source_uri="/a.mp4", relative_uri="a.mp4", source_id="a", row=7, **bounds)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key": "a.b"}, "may hold only"),
        ({"video": "av1"}, "copy, h264, foreign"),
        ({"frames": 4}, "3 timestamps for 4 frames"),
        ({"timestamps": (0.0, 0.2, 0.1)}, "must increase"),
        ({"width": 0}, "must be positive"),
    ],
)
def test_a_record_that_cannot_be(change, says):
    with pytest.raises(DataError, match=says):
        make_record(**change)


def test_a_record_is_its_json():
    document = make_record(extra={"caption": "a walk"}).document()
    assert ClipRecord(**{**document, "timestamps": tuple(document["timestamps"]), "notes": tuple(document["notes"])}) == make_record(
        extra={"caption": "a walk"}
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tracks_px": np.full((3, 2, 2), np.nan, np.float32)}, "NaN"),
        ({"tracks_px": np.zeros((3, 2, 2))}, "float64"),
        ({"visibility": np.ones((2, 3), bool)}, r"visibility is bool\[2, 3\], expected bool\[3, 2\]"),
        ({"queries": np.zeros((3, 3), np.float32)}, "queries is"),
        ({"confidence": np.full((3, 2), 1.5, np.float32)}, r"confidence must lie in \[0, 1\]"),
    ],
)
def test_labels_that_cannot_be(change, says):
    with pytest.raises(DataError, match=says):
        make_labels(**change)


def test_a_label_set_is_named_after_what_decides_the_labels():
    one = LabelSet(labeler="dis-flow", configuration={"queries": 256})
    assert one.name.startswith("dis-flow-")
    assert replace(one, versions={"numpy": "3"}).name == one.name
    others = [{"configuration": {"queries": 512}}, {"checkpoint_sha256": "ab"}, {"precision": "bfloat16"}]
    assert len({one.name, *(replace(one, **other).name for other in others)}) == 4
    with pytest.raises(DataError, match="may hold only a-z"):
        LabelSet(labeler="Dis Flow", configuration={})


@pytest.mark.parametrize("query", [(3, 0, 0), (-1, 0, 0), (0.5, 0, 0), (0, -0.6, 0), (0, 8, 0), (0, 0, 5.6)])
def test_queries_outside_the_clip_are_refused(query):
    frames = FramesInMemory(np.zeros((3, 6, 8, 3), np.uint8))
    ClipFrames(key="a", reader=frames, queries=np.array([(2, -0.5, 5.5), (0, 7.5, 0)], np.float32))  # the image's very edge
    with pytest.raises(DataError, match="clip a: .* a query is"):
        ClipFrames(key="a", reader=frames, queries=np.array([query], np.float32))


def test_a_sample_checks_every_array_against_its_frames():
    values = {
        "key": "a", "source": "a.mp4", "split": "train", "index": 0, "frames": np.zeros((3, 6, 8, 3), np.uint8),
        "frame_indices": np.arange(3), "frame_times": np.arange(3) / 30, "supervision": "pseudo",
    }  # fmt: skip
    sample = ClipSample(**values, tracks2d=np.zeros((3, 5, 2), np.float32), visibility=np.ones((3, 5), bool))
    assert sample.depth is None
    with pytest.raises(DataError, match=r"clip a: depth is float32\[3, 8, 6\], expected float32\[3, 6, 8\]"):
        ClipSample(**values, depth=np.zeros((3, 8, 6), np.float32))
    with pytest.raises(DataError, match="supervision"):
        ClipSample(**{**values, "supervision": "none"})
