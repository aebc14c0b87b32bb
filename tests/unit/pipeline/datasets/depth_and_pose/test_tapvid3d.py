"""The reader of TAPVid-3D, on a hall with points on its walls and one that moves."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datasets.tapvid3d import TapVid3dSource, origin_of
from pipeline.datasets.validation import check_truth, failures
from pipeline.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def scene(hall):
    return hall(60, 96, num_frames=6)


@pytest.fixture(scope="module")
def points(scene):
    """Camera coordinates "T N 3" of 60 points that the first frame sees, and of one that flies; float64."""
    y, x = np.random.default_rng(3).permutation(np.argwhere(scene.depth[0] < 40))[:60].T
    rays = np.stack([x, y, np.ones(len(x))]).T @ np.linalg.inv(scene.intrinsics).T
    depth = scene.depth[0][y, x]
    world = (rays * depth[:, None]) @ scene.camera_to_world[0, :3, :3].T + scene.camera_to_world[0, :3, 3]
    world = np.tile(world, (6, 1, 1))
    flying = np.array([0.5, 0, 3]) + np.arange(6)[:, None] * [0.2, 0, 0]
    world = np.concatenate([world, flying[:, None]], axis=1)
    return (world - scene.camera_to_world[:, None, :3, 3]) @ scene.camera_to_world[:, :3, :3]


def project(points, scene):
    pixels = points @ scene.intrinsics.T
    return pixels[..., :2] / pixels[..., 2:]


def jpegs(scene) -> list[bytes]:
    return [cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes() for frame in scene.frames]


def write(path: Path, scene, points, *, cameras_to_world=None, **changes) -> list[bytes]:
    files, K = jpegs(scene), scene.intrinsics
    visible = np.ones(points.shape[:2], bool)
    visible[2, :10] = visible[:3, -1] = False
    queries = np.concatenate([project(points, scene)[0], np.zeros((points.shape[1], 1))], axis=1)
    queries[-1, 2], queries[0, 2] = 3, 4
    arrays = {
        "images_jpeg_bytes": np.array(files, dtype=object),
        "tracks_XYZ": points,
        "visibility": visible,
        "queries_xyt": queries,
        "fx_fy_cx_cy": np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2]]),
        **({} if cameras_to_world is None else {"extrinsics_w2c": np.linalg.inv(cameras_to_world)}),
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return files


def test_a_video_comes_back_with_its_own_files(tmp_path, scene, points) -> None:
    files = write(tmp_path / "adt/Lite_a.npz", scene, points, cameras_to_world=scene.camera_to_world)
    source = pickle.loads(pickle.dumps(TapVid3dSource(str(tmp_path))))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.split) == ("adt/Lite_a", 6, "test")
    clip = source.read(sequence, 0, 6)
    assert source.keep_images
    assert clip.images == tuple(files)
    assert clip.image_suffix == "jpg"
    assert np.abs(clip.frames.astype(int) - scene.frames).mean() < 3
    np.testing.assert_allclose(clip.tracks3d, points, rtol=1e-6)
    assert np.abs(clip.tracks2d - project(points, scene)).max() < 1e-3
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world, atol=1e-6)
    assert np.abs(np.diff(clip.tracks3d_world[:, :-1], axis=0)).max() < 1e-4  # points of the hall stand still in the world
    assert np.abs(np.diff(clip.tracks3d_world[:, -1], axis=0))[:, 0] == pytest.approx(0.2, abs=1e-4)
    assert clip.visibility[2].sum() == points.shape[1] - 11
    assert clip.query_frame[[0, 1, -1]].tolist() == [4, 0, 3]
    assert "Aria" in clip.license
    assert not failures(check_truth(clip))


def test_a_window_counts_its_queries_from_its_own_first_frame(tmp_path, scene, points) -> None:
    files = write(tmp_path / "drivetrack/tapvid3d_1.npz", scene, points, cameras_to_world=scene.camera_to_world)
    source = TapVid3dSource(str(tmp_path), license="mine")
    clip = source.read(source.sequences()[0], 2, 4)
    assert clip.images == tuple(files[2:])
    np.testing.assert_allclose(clip.tracks3d, points[2:], rtol=1e-6)
    np.testing.assert_allclose(clip.frame_times, [0, 0.1, 0.2, 0.3])
    # track 0 is asked for in frame 4; track 1 in frame 0, hidden in 2, so first seen in 3; track 20 is seen in 2
    assert clip.query_frame[[0, 1, 20, -1]].tolist() == [2, 1, 0, 1]
    assert clip.license == "mine"


def test_the_camera_of_the_studio_stands_still_and_others_without_poses_have_none(tmp_path, scene, points) -> None:
    write(tmp_path / "pstudio/boxes_1.npz", scene, points)
    write(tmp_path / "adt/Lite_b.npz", scene, points)
    source = TapVid3dSource(str(tmp_path))
    without, studio = (source.read(sequence, 0, 6) for sequence in source.sequences())
    assert without.camera_to_world is None
    assert without.tracks3d_world is None
    np.testing.assert_array_equal(studio.camera_to_world, np.tile(np.eye(4), (6, 1, 1)))
    np.testing.assert_array_equal(studio.tracks3d_world, studio.tracks3d)


def test_camera_to_world_matrices_would_be_seen(tmp_path, scene, points) -> None:
    write(tmp_path / "adt/Lite_a.npz", scene, points, cameras_to_world=np.linalg.inv(scene.camera_to_world))
    source = TapVid3dSource(str(tmp_path))
    assert "w2c_for_c2w" in [check.finding for check in failures(check_truth(source.read(source.sequences()[0], 0, 6)))]


def test_points_that_are_not_there_are_not_valid(tmp_path, scene, points) -> None:
    broken = points.copy()
    broken[1, 3], broken[2, 30, 2] = np.nan, -1
    write(tmp_path / "pstudio/boxes_1.npz", scene, broken)
    source = TapVid3dSource(str(tmp_path))
    clip = source.read(source.sequences()[0], 0, 6)
    assert np.argwhere(~clip.track_valid).tolist() == [[1, 3], [2, 30]]
    assert not clip.visibility[~clip.track_valid].any()


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit",)


def test_a_pickle_that_runs_code_is_refused(tmp_path, scene, points) -> None:
    write(tmp_path / "adt/Lite_a.npz", scene, points, images_jpeg_bytes=np.array([Evil()] * 6, dtype=object))
    source = TapVid3dSource(str(tmp_path))
    with pytest.raises(DataError, match=r"builtins\.exec.*--trust-pickle"):
        source.read(source.sequences()[0], 0, 6)


def test_other_archives_are_refused(tmp_path, scene, points, caplog) -> None:
    write(tmp_path / "adt/Lite_a.npz", scene, points, fx_fy_cx_cy=None)
    source = TapVid3dSource(str(tmp_path))
    (sequence,) = source.sequences()
    assert sequence.num_frames == 0  # an error of planning, not the end of the listing
    assert "Lite_a.npz: no array 'fx_fy_cx_cy', found images_jpeg_bytes" in caplog.text
    with pytest.raises(DataError, match="no array 'fx_fy_cx_cy'"):
        source.read(sequence, 0, 6)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/readme.txt").touch()
    with pytest.raises(ConfigError, match="no tapvid3d sequence found"):
        TapVid3dSource(str(tmp_path / "b")).sequences()


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("minival/adt/boxes.npz", "adt"),
        ("pstudio/tapvid3d_1.npz", "pstudio"),
        ("tapvid3d_103.npz", "drivetrack"),
        ("all/Apartment_release_golden.npz", "adt"),
        ("Lite_release.npz", "adt"),
        ("basketball_1.npz", "pstudio"),
    ],
)
def test_names_tell_the_recording(path, origin) -> None:
    assert origin_of(path) == origin
