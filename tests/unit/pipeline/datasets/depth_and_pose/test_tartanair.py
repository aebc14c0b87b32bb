"""The reader of TartanAir, on a hall written as TartanAir writes its environments."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.datasets.tartanair import TartanAirSource
from pipeline.datasets.validation import check_truth, failures
from pipeline.errors import ConfigError, DataError

K = np.array([[320.0, 0, 320], [0, 320, 240], [0, 0, 1]])
# columns: forward, right, down of a camera that looks along z with y down
BODY_IN_CAMERA = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])


def write(folder: Path, scene, write_image, *, poses=None) -> None:
    (folder / "depth_left").mkdir(parents=True)
    rows = []
    for index, pose in enumerate(scene.camera_to_world if poses is None else poses):
        write_image(folder / f"image_left/{index:06d}_left.png", scene.frames[index])
        depth = np.where(np.isfinite(scene.depth[index]), scene.depth[index], 10000).astype(np.float32)
        np.save(folder / f"depth_left/{index:06d}_left_depth.npy", depth)
        rows.append([*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3] @ BODY_IN_CAMERA).as_quat()])
    np.savetxt(folder / "pose_left.txt", rows)


@pytest.fixture(scope="module")
def scene(hall):
    return hall(480, 640, intrinsics=K, num_frames=3)


def test_a_trajectory_comes_back_as_it_was_written(tmp_path, scene, write_image, worst_projection_px) -> None:
    write(tmp_path / "office/office/Easy/P003", scene, write_image)
    source = pickle.loads(pickle.dumps(TartanAirSource(str(tmp_path))))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.scene) == ("office/Easy/P003", 3, "office")
    clip = source.read(sequence, 0, 3)
    np.testing.assert_array_equal(clip.frames, scene.frames)
    np.testing.assert_array_equal(clip.depth, np.where(np.isfinite(scene.depth), scene.depth, 0).astype(np.float32))
    np.testing.assert_array_equal(clip.sky_mask, np.isinf(scene.depth))
    assert 0.02 < clip.sky_mask.mean() < 0.9
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world, atol=1e-6)
    assert worst_projection_px(clip, scene) < 0.01
    assert not failures(check_truth(clip))
    assert clip.is_metric
    assert clip.depth_source == "render"
    assert clip.tracks2d is None


def test_the_second_window_begins_where_it_should(tmp_path, scene, write_image) -> None:
    write(tmp_path / "office/Hard/P000", scene, write_image)
    source = TartanAirSource(str(tmp_path / "office"), license="mine")
    (sequence,) = source.sequences()
    clip = source.read(sequence, 1, 2)
    assert (sequence.name, clip.license, clip.meta["first_number"]) == ("office/Hard/P000", "mine", 1)
    np.testing.assert_array_equal(clip.frames, scene.frames[1:])
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world[1:], atol=1e-6)
    np.testing.assert_allclose(clip.frame_times, [0, 0.1])


def test_world_to_camera_poses_would_be_seen(tmp_path, scene, write_image, worst_projection_px) -> None:
    write(tmp_path / "office/Easy/P000", scene, write_image, poses=np.linalg.inv(scene.camera_to_world))
    source = TartanAirSource(str(tmp_path))
    clip = source.read(source.sequences()[0], 0, 3)
    assert worst_projection_px(clip, scene) > 5
    assert "w2c_for_c2w" in [check.finding for check in failures(check_truth(clip))]


def test_absent_depth_is_absent_and_said_aloud(tmp_path, scene, write_image, caplog) -> None:
    write(tmp_path / "office/Easy/P000", scene, write_image)
    for file in (tmp_path / "office/Easy/P000/depth_left").iterdir():
        file.unlink()
    source = TartanAirSource(str(tmp_path))
    clip = source.read(source.sequences()[0], 0, 3)
    assert (clip.depth, clip.sky_mask, clip.depth_source) == (None, None, None)
    assert "1 of 1 sequences have no depth, office/Easy/P000 first" in caplog.text


def test_what_is_missing_is_named(tmp_path, scene, write_image) -> None:
    folder = tmp_path / "office/Easy/P000"
    write(folder, scene, write_image)
    source = TartanAirSource(str(tmp_path))
    (sequence,) = source.sequences()
    (folder / "depth_left/000001_left_depth.npy").unlink()
    with pytest.raises(DataError, match=r"000001_left_depth\.npy: there is no such file"):
        source.read(sequence, 0, 3)
    (folder / "pose_left.txt").write_text("0 0 0 0 0 0 1\n")
    with pytest.raises(DataError, match=r"pose_left\.txt: 1 poses, but there is an image of number 2"):
        source.read(sequence, 0, 3)
    (folder / "image_left/000002_left.png").unlink()
    with pytest.raises(DataError, match="2 frames found, 3 when the dataset was listed"):
        source.read(sequence, 0, 2)


def test_another_folder_is_refused(tmp_path) -> None:
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(ConfigError, match="no tartanair sequence found, expected files such as ENV/ENV/Easy/P000"):
        TartanAirSource(str(tmp_path)).sequences()
    with pytest.raises(ConfigError, match="there are no files"):
        TartanAirSource(str(tmp_path / "nowhere")).sequences()


def test_flow_is_read_where_it_is_asked_for(tmp_path, scene, write_image, forward_flow, check_flow) -> None:
    folder, flow = tmp_path / "office/office/Easy/P003", forward_flow(scene)
    write(folder, scene, write_image)
    (folder / "flow").mkdir()
    for index, vectors in enumerate(flow):
        np.save(folder / f"flow/{index:06d}_{index + 1:06d}_flow.npy", np.nan_to_num(vectors).astype(np.float32))
        np.save(folder / f"flow/{index:06d}_{index + 1:06d}_mask.npy", np.where(np.isfinite(vectors[..., 0]), 0, 100).astype(np.uint8))
    source = TartanAirSource(str(tmp_path), flow=True)
    check_flow(source.read(source.sequences()[0], 0, 3), flow, atol=1e-4)
    np.save(folder / "flow/000001_000002_mask.npy", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"000001_000002_flow.npy: \[480, 640, 2\], its mask is \[4, 4\]"):
        source.read(source.sequences()[0], 0, 3)
