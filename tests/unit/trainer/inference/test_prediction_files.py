"""What is written can be read without us, and says what the prediction says."""

import ast
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import DataError
from trainer.inference import PredictedTracks, Prediction, Reconstruction
from trainer.inference.files import write_arrays, write_cloud, write_tracks, write_trajectory
from trainer.inference.geometry import fit_intrinsics, trusted_points

T, H, W = 2, 6, 8
POSES = np.tile(np.eye(4, dtype=np.float32), (T, 1, 1))
POSES[1, :3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # a quarter turn about z
POSES[1, :3, 3] = [1, 2, 3]


def seen_by(focal: tuple[float, float], depth: np.ndarray) -> np.ndarray:
    """Points "T H W 3" that pixels of a camera with its centre in the image's see at a depth."""
    y, x = np.mgrid[:H, :W]
    rays = np.stack([(x - (W - 1) / 2) / focal[0], (y - (H - 1) / 2) / focal[1], np.ones((H, W))], axis=-1)
    return (rays * depth[..., None]).astype(np.float32)


def a_prediction(tracks: PredictedTracks | None = None) -> Prediction:
    rng = np.random.default_rng(0)
    local = seen_by((10, 10), rng.uniform(1, 2, (T, H, W)))
    return Prediction(
        frames=rng.integers(0, 256, (T, H, W, 3), dtype=np.uint8),
        points=local + 5,
        local_points=local,
        confidence=np.full((T, H, W), 0.5, np.float32),
        camera_to_world=POSES,
        tracks=tracks,
    )


def some_tracks() -> PredictedTracks:
    world = np.arange(T * 3 * 3, dtype=np.float32).reshape(T, 3, 3)
    score = np.array([[0.1, 0.2, 0.21], [0.0, 0.5, 1.0]], np.float32)
    return PredictedTracks(queries=np.zeros((3, 2), np.float32), world=world, camera=world, visibility_score=score)


def on_disk(folder, *predictions: Prediction, visible: float = 0.2) -> Reconstruction:
    """Windows that follow each other without sharing a frame, in one world."""
    made = Reconstruction(str(folder), least_confidence=0.1, visible=visible)
    for prediction in predictions:
        made.append(prediction, first=made.num_frames)
    return made


def read_public_archive(path) -> dict[str, np.ndarray]:
    """A reader of the public script's file, from its description alone: members of a zip, each a .npy in C order."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            assert entry.compress_type == zipfile.ZIP_DEFLATED
            data = archive.read(entry)
            assert data[:8] == b"\x93NUMPY\x01\x00"
            length = struct.unpack("<H", data[8:10])[0]
            header = ast.literal_eval(data[10 : 10 + length].decode("latin1"))
            assert not header["fortran_order"]
            arrays[entry.filename] = np.frombuffer(data, header["descr"], offset=10 + length).reshape(header["shape"])
    return arrays


def test_the_archive_is_the_public_scripts(tmp_path):
    prediction = a_prediction(some_tracks())
    with on_disk(tmp_path, prediction) as made:
        write_arrays(str(tmp_path / "a.npz"), made)
        write_arrays(str(tmp_path / "b.npz"), made)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    arrays = read_public_archive(tmp_path / "a.npz")
    assert {name: (array.dtype.name, array.shape) for name, array in arrays.items()} == {
        "world_points.npy": ("float32", (T, H * W, 3)),
        "extrinsics.npy": ("float32", (T, 4, 4)),
        "colors.npy": ("uint8", (T, H * W, 3)),
        "trajectories.npy": ("float32", (T, 3, 3)),
        "visibility.npy": ("bool", (T, 3)),
    }
    np.testing.assert_array_equal(arrays["extrinsics.npy"], POSES)
    np.testing.assert_array_equal(arrays["world_points.npy"][1, 3 * W + 5], prediction.points[1, 3, 5])
    np.testing.assert_array_equal(arrays["colors.npy"][0, 2 * W + 7], prediction.frames[0, 2, 7])
    visible = np.array([[False, True, True], [False, True, True]])  # a score of 0.2 is enough
    np.testing.assert_array_equal(arrays["visibility.npy"], visible)
    expected = np.where(visible[..., None], prediction.tracks.world, np.nan)
    np.testing.assert_array_equal(arrays["trajectories.npy"], expected)


def test_a_model_without_tracks_writes_none(tmp_path):
    with on_disk(tmp_path, a_prediction()) as made:
        write_arrays(str(tmp_path / "a.npz"), made)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file["trajectories"].shape == (T, 0, 3)
        assert file["visibility"].shape == (T, 0)


def test_tracks_of_one_window_are_unknown_in_another(tmp_path):
    with on_disk(tmp_path, a_prediction(some_tracks()), a_prediction(some_tracks())) as made:
        write_arrays(str(tmp_path / "a.npz"), made)
        write_tracks(str(tmp_path / "t.npz"), made)
    with np.load(tmp_path / "a.npz") as file, np.load(tmp_path / "t.npz") as own:
        assert file["trajectories"].shape == (2 * T, 6, 3)
        assert not file["visibility"][:T, 3:].any()
        np.testing.assert_array_equal(np.isnan(own["world"]).all(axis=-1), np.kron([[0, 1], [1, 0]], np.ones((T, 3))).astype(bool))
        np.testing.assert_array_equal(own["world"][:T, :3], some_tracks().world)  # hidden points too
        np.testing.assert_array_equal(own["visibility_score"][T:, 3:], some_tracks().visibility_score)
        assert own["queries"].tolist() == [[0, 0, 0]] * 3 + [[T, 0, 0]] * 3


def test_the_cloud_holds_the_chosen_points_in_their_colours(tmp_path):
    prediction = a_prediction()
    prediction.confidence[:] = 0.05
    prediction.confidence[0, 2, 3] = prediction.confidence[1, 5, 7] = 0.5
    prediction.local_points[..., 2] = 1  # no edges
    with on_disk(tmp_path, prediction) as made:
        assert made.num_points == 2
        write_cloud(str(tmp_path / "a.ply"), made)
    header, _, body = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    assert header.splitlines()[:3] == [b"ply", b"format binary_little_endian 1.0", b"element vertex 2"]
    assert len(body) == 2 * 15
    np.testing.assert_array_equal(np.frombuffer(body[15:27], "<f4"), prediction.points[1, 5, 7])
    assert tuple(body[27:30]) == tuple(prediction.frames[1, 5, 7])


def test_a_trajectory_is_time_centre_and_quaternion_with_w_last(tmp_path):
    write_trajectory(str(tmp_path / "a.txt"), POSES, np.array([0.0, 0.5]))
    rows = np.loadtxt(tmp_path / "a.txt")
    half = np.sqrt(0.5)
    np.testing.assert_allclose(rows, [[0, 0, 0, 0, 0, 0, 0, 1], [0.5, 1, 2, 3, 0, 0, half, half]], atol=1e-7)
    with pytest.raises(DataError, match="2 poses, 1 times"):
        write_trajectory(str(tmp_path / "a.txt"), POSES, np.zeros(1))


def test_focal_lengths_come_back_whatever_the_depth():
    depth = np.random.default_rng(1).uniform(0.5, 9, (T, H, W))
    found = fit_intrinsics(seen_by((11.5, 9.25), depth), np.ones((T, H, W)))
    np.testing.assert_allclose(found[1], [[11.5, 0, 3.5], [0, 9.25, 2.5], [0, 0, 1]], rtol=1e-5)


def test_mirrored_points_have_no_camera():
    local = seen_by((10, 10), np.ones((T, H, W))) * np.float32([-1, 1, 1])
    assert fit_intrinsics(local, np.ones((T, H, W))) is None


def test_points_on_an_edge_and_doubtful_ones_are_not_shown():
    depth = np.ones((1, 5, 6), np.float32)
    depth[..., 3:] = 2  # an edge between columns 2 and 3
    confidence = np.full(depth.shape, 0.5)
    confidence[0, 0, 0] = 0.05
    shown = trusted_points(depth, confidence, least_confidence=0.1)[0]
    expected = np.ones((5, 6), bool)
    expected[:, 2:4] = expected[0, 0] = False
    np.testing.assert_array_equal(shown, expected)


def test_a_prediction_with_nan_is_refused():
    local = seen_by((10, 10), np.ones((T, H, W)))
    broken = local.copy()
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="the model's points hold NaN"):
        Prediction(
            frames=np.zeros((T, H, W, 3), np.uint8),
            points=broken,
            local_points=local,
            confidence=np.ones((T, H, W), np.float32),
            camera_to_world=POSES,
        )


def test_a_pose_that_stands_in_for_a_camera_that_was_not_found_says_so(tmp_path):
    poses = np.stack([*POSES, POSES[0]])
    write_trajectory(str(tmp_path / "poses.txt"), poses, np.array([0, 0.5, 1]), np.array([True, False, True]))
    lines = (tmp_path / "poses.txt").read_text().splitlines()
    assert lines[2] == "# frame 1: camera not found; the next pose stands in for it"
    assert [line.split()[0] for line in lines if not line.startswith("#")] == ["0.000000", "0.500000", "1.000000"]
    assert len(np.loadtxt(tmp_path / "poses.txt")) == 3


def test_cameras_that_were_not_found_are_known_for_every_frame_of_all_windows(tmp_path):
    first = replace(a_prediction(), camera_found=np.array([True, False]))
    second = replace(a_prediction(), camera_found=np.array([False, True]))
    made = on_disk(tmp_path, first)
    made.append(second, first=1)  # its first frame is the first window's last
    assert made.camera_found.tolist() == [True, False, True]
    assert on_disk(tmp_path, a_prediction()).camera_found is None
    with pytest.raises(DataError, match="camera_found is bool"):
        replace(a_prediction(), camera_found=np.ones(T + 1, bool))
