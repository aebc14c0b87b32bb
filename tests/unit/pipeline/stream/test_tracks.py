import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.records import ClipRecord, ClipSample, TrackLabels
from pipeline.stream.tracks import add_labels, frames_in_window


def make_record(frames=5):
    return ClipRecord(
        key="k", source="s", source_id="s", split="train", start_s=0, end_s=1, fps=10, frames=frames, width=8, height=4, codec="h264",
        video="h264", sha256="", timestamps=tuple(t / 10 for t in range(frames)),
    )  # fmt: skip


def make_sample(indices, size=(4, 8), **fields):
    return ClipSample(
        key="k", source="s", split="train", index=0, supervision="pseudo", frame_indices=np.array(indices),
        frame_times=np.array(indices) / 10, frames=np.zeros((len(indices), *size, 3), np.uint8), **fields,
    )  # fmt: skip


def make_labels(frames=5):
    t = np.arange(frames)
    tracks = np.stack([np.stack([t, 0 * t], -1), np.stack([2 + 0 * t, t / 2], -1)], 1).astype(np.float32)
    visibility = np.stack([t != 3, t == 1], 1)
    return TrackLabels(
        queries=np.array([[0, 0, 0], [3, 2, 1.5]], np.float32), tracks_px=tracks, visibility=visibility,
        visibility_score=(tracks[..., 0] / 10), confidence=(tracks[..., 0] / 20),
    )  # fmt: skip


def test_tracks_are_those_of_the_delivered_frames_in_their_pixels():
    sample = add_labels(make_sample([1, 3], size=(8, 4)), make_labels(), make_record())
    # x halves, y doubles: x (1 + .5)/2 - .5 = .25, (3 + .5)/2 - .5 = 1.25; y (0 + .5)*2 - .5 = .5
    np.testing.assert_allclose(sample.tracks2d[:, 0], [[0.25, 0.5], [1.25, 0.5]])
    np.testing.assert_allclose(sample.tracks2d[:, 1], [[0.75, 1.5], [0.75, 3.5]])
    assert sample.visibility.tolist() == [[True, True], [False, False]]
    np.testing.assert_allclose(sample.visibility_score, [[0.1, 0.2], [0.3, 0.2]])
    np.testing.assert_allclose(sample.confidence, [[0.05, 0.1], [0.15, 0.1]])


def test_a_query_is_found_in_the_window_or_marked_as_outside_it():
    assert add_labels(make_sample([1, 3]), make_labels(), make_record()).query_frame.tolist() == [-1, 1]
    assert frames_in_window(np.array([0, 2, 3, 4, 6, 9]), np.array([2, 4, 6])).tolist() == [-1, 0, -1, 1, 2, -1]
    assert frames_in_window(np.array([0]), np.array([0])).dtype == "int32"


def test_labels_take_the_place_of_true_tracks_which_are_other_points():
    true = {"tracks2d": np.zeros((2, 9, 2), np.float32), "track_valid": np.ones((2, 9), bool), "tracks3d": np.zeros((2, 9, 3), np.float32)}
    depth = np.ones((2, 4, 8), np.float32)
    sample = add_labels(make_sample([1, 3], **true, depth=depth), make_labels(), make_record())
    assert sample.tracks2d.shape == (2, 2, 2)
    assert sample.track_valid is None
    assert sample.tracks3d is None
    assert sample.depth is depth


def test_labels_of_another_length_are_refused():
    with pytest.raises(DataError, match="cover 5 frames, the clip has 6"):
        add_labels(make_sample([1, 3]), make_labels(5), make_record(6))
