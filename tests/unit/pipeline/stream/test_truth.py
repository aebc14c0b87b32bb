import io

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.records import ClipRecord, ClipSample
from pipeline.stream.truth import add_truth

T, H, W, N = 4, 4, 8, 3
RECORD = ClipRecord(
    key="k", source="s", source_id="s", split="train", start_s=0, end_s=1, fps=10, frames=T, width=W, height=H, codec="h264", video="h264",
    sha256="", timestamps=tuple(t / 10 for t in range(T)), pose_source="gt", is_metric=True,
)  # fmt: skip


def make_sample(indices, size=(H, W)):
    return ClipSample(
        key="k", source="s", split="train", index=0, supervision="metric", frame_indices=np.array(indices),
        frame_times=np.array(indices) / 10, frames=np.zeros((len(indices), *size, 3), np.uint8),
    )  # fmt: skip


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
