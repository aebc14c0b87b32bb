"""Truth and labels of a stored clip, for the frames of a sample and in its pixels."""

import io

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.records import ClipRecord, ClipSample, TrackLabels, Tracks3dLabels
from pipeline.records.pixel_transforms import framing_of
from pipeline.stream import clip_arrays

T, H, W, N = 4, 4, 8, 3
RECORD = ClipRecord(
    key="k", source="s", source_id="s", split="train", start_s=0, end_s=1, fps=10, frames=T, width=W, height=H, codec="h264", video="h264",
    sha256="", timestamps=tuple(t / 10 for t in range(T)), pose_source="gt", is_metric=True,
)  # fmt: skip


def make_sample(indices, size=(H, W), **fields):
    return ClipSample(
        key="k", source="s", split="train", index=0, supervision="pseudo", frame_indices=np.array(indices),
        frame_times=np.array(indices) / 10, frames=np.zeros((len(indices), *size, 3), np.uint8), **fields,
    )  # fmt: skip


def add_truth(sample, data, record):
    return clip_arrays.add_truth(sample, data, record, framing(sample, record))


def add_labels(sample, labels, record):
    return clip_arrays.add_labels(sample, labels, record, framing(sample, record))


def framing(sample, record):
    return framing_of((record.height, record.width), sample.frames.shape[1:3], "stretch")


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def all_arrays():
    t = np.arange(T)
    intrinsics = np.tile(np.array([[8.0, 0, 3.5], [0, 8, 1.5], [0, 0, 1]]), (T, 1, 1))
    poses = np.tile(np.eye(4), (T, 1, 1))
    poses[:, 0, 3] = t
    depth = np.tile(np.arange(H * W, dtype=np.float16).reshape(1, H, W), (T, 1, 1)) + 100 * t[:, None, None].astype(np.float16)
    tracks = np.zeros((T, N, 2)) + t[:, None, None]
    return {
        "intrinsics": intrinsics, "camera_to_world": poses, "pose_valid": t != 2, "depth": depth, "sky_mask": depth == 0,
        "tracks2d": tracks, "tracks3d": np.zeros((T, N, 3)) + t[:, None, None], "visibility": np.ones((T, N), bool),
        "track_valid": np.ones((T, N), bool), "query_frame": np.array([0, 2, 3], np.int32), "note": np.zeros(2),
    }  # fmt: skip


def test_all_fields_follow_the_window():
    sample = add_truth(make_sample([1, 3]), npz(**all_arrays()), RECORD)
    assert sample.camera_to_world[:, 0, 3].tolist() == [1, 3]
    assert sample.depth[:, 0, 1].tolist() == [101, 301]
    assert sample.depth.dtype == "float32"
    assert sample.tracks2d[:, 0, 0].tolist() == [1, 3]
    assert sample.tracks3d[:, 0, 2].tolist() == [1, 3]
    assert sample.query_frame.tolist() == [-1, -1, 1]
    assert sample.pose_source == "gt"
    assert sample.dynamic_mask is None


def test_pixels_follow_the_size_and_metres_do_not():
    sample = add_truth(make_sample([0], size=(2, 16)), npz(**all_arrays()), RECORD)
    assert sample.intrinsics[0].tolist() == [[16, 0, 7.5], [0, 4, 0.5], [0, 0, 1]]
    assert sample.tracks2d[0, 0].tolist() == [0.5, -0.25]
    assert sample.tracks3d[0, 0].tolist() == [0, 0, 0]
    assert sample.depth[0, :, 0].tolist() == [8, 24]  # rows 1 and 3 of 8 pixels each
    assert sample.depth[0, 0].tolist() == [value for value in range(8, 16) for _ in range(2)]
    assert sample.sky_mask.shape == (1, 2, 16)


def test_true_flow_follows_the_window_and_the_size_and_says_what_it_is():
    flow = np.ones((T, H, W, 2), np.float32) * np.arange(T, dtype=np.float32)[:, None, None, None]
    frames = {"flow_from_frame": np.array([0, 1, 2, -1], np.int32), "flow_to_frame": np.array([1, 2, 3, -1], np.int32)}
    sample = add_truth(make_sample([1, 2], size=(2, 16)), npz(flow=flow, flow_valid=flow[..., 0] > 0, **frames), RECORD)
    assert sample.flow[:, 0, 0].tolist() == [[2, 0.5], [4, 1]]  # twice as wide, half as high
    assert sample.flow_valid.all()
    assert (sample.flow_from_frame.tolist(), sample.flow_to_frame.tolist()) == ([0, 1], [1, -1])
    assert sample.flow_source == "gt"
    assert add_truth(make_sample([0]), npz(depth=np.ones((T, H, W))), RECORD).flow_source is None


def test_true_and_labelled_tracks_in_space_are_told_apart():
    sample = add_truth(make_sample([1, 3]), npz(**all_arrays()), RECORD)
    assert (sample.tracks3d_source, sample.tracks3d_scale) == ("gt", "metric")
    queries, still = np.zeros((1, 3), np.float32), np.zeros((T, 1, 2), np.float32)
    world = np.tile(np.arange(T, dtype=np.float32)[:, None, None], (1, 1, 3))
    known = {"queries": queries, "tracks_px": still, "visibility": np.ones((T, 1), bool)}
    labelled = add_labels(sample, Tracks3dLabels(**known, tracks_world=world, scale="relative"), RECORD)
    assert (labelled.tracks3d_source, labelled.tracks3d_scale, labelled.tracks3d) == ("pseudo", "relative", None)
    assert labelled.tracks3d_world[:, 0, 2].tolist() == [1, 3]
    flat = add_labels(sample, TrackLabels(**known), RECORD)
    assert (flat.tracks3d_source, flat.tracks3d_scale, flat.tracks3d_world) == (None, None, None)


def test_a_pose_source_without_cameras_is_not_claimed():
    assert add_truth(make_sample([0]), npz(depth=np.ones((T, H, W))), RECORD).pose_source is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"not a zip", "arrays.npz does not read"),
        (npz(**all_arrays())[:-40], "arrays.npz does not read"),
        (npz(depth=np.array([{}], dtype=object)), "arrays.npz does not read"),
        (npz(depth=np.ones((T, H, W + 1))), r"depth in arrays.npz is \[4, 4, 9\], expected \[4, 4, 8\]"),
        (npz(pose_valid=np.ones(T + 1, bool)), r"pose_valid in arrays.npz is \[5\], expected \[4\]"),
        (npz(visibility=np.ones((T, N), np.uint8), tracks2d=np.zeros((T, N, 2))), "visibility is uint8"),
    ],
)
def test_arrays_that_do_not_fit_or_do_not_read_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        add_truth(make_sample([0]), data, RECORD)


def make_record(frames=5):
    return ClipRecord(
        key="k", source="s", source_id="s", split="train", start_s=0, end_s=1, fps=10, frames=frames, width=8, height=4, codec="h264",
        video="h264", sha256="", timestamps=tuple(t / 10 for t in range(frames)),
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


def test_labels_take_the_place_of_true_tracks_which_are_other_points():
    true = {
        "tracks2d": np.zeros((2, 9, 2), np.float32),
        "track_valid": np.ones((2, 9), bool),
        "tracks3d": np.zeros((2, 9, 3), np.float32),
        "static_score": np.ones(9, np.float32),
    }
    depth = np.ones((2, 4, 8), np.float32)
    sample = add_labels(make_sample([1, 3], **true, depth=depth), make_labels(), make_record())
    assert sample.tracks2d.shape == (2, 2, 2)
    assert sample.track_valid is None
    assert sample.tracks3d is None
    assert sample.static_score is None
    assert sample.depth is depth


def test_labels_of_another_length_are_refused():
    with pytest.raises(DataError, match="cover 5 frames, the clip has 6"):
        add_labels(make_sample([1, 3]), make_labels(5), make_record(6))
