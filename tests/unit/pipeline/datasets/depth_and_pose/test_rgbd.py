"""The readers of TUM and Bonn, on a hall written as a recording of three clocks."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.datasets.rgbd import BonnSource, TumSource
from pipeline.datasets.validation import check_truth, failures
from pipeline.errors import ConfigError

START_S = 1341846313.592026
K = np.array([[535.4, 0, 320.1], [0, 539.2, 247.6], [0, 0, 1]])


@pytest.fixture(scope="module")
def scene(hall):
    return hall(480, 640, intrinsics=K, num_frames=4)


def write(folder: Path, scene, write_image, *, lists: bool = True, inverse: bool = False) -> list[Path]:
    """Colour every 1/30 s, depth 4 ms later (that of frame 2 is missing), motion capture at 100 Hz; returns the colour files."""
    colour, depth, poses = [], [], ["# ground truth trajectory", "# timestamp tx ty tz qx qy qz qw"]
    for index, pose in enumerate(scene.camera_to_world):
        time_s = START_S + index / 30
        pose = np.linalg.inv(pose) if inverse else pose
        colour.append(write_image(folder / f"rgb/{time_s:.6f}.png", scene.frames[index]))
        if index != 2:
            units = np.where(np.isfinite(scene.depth[index]), np.round(5000 * scene.depth[index]), 0).astype(np.uint16)
            depth.append(write_image(folder / f"depth/{time_s + 0.004:.6f}.png", units))
        quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()
        for late_s, offset in ((-0.011, 5.0), (0.002, 0.0), (0.012, -5.0)):  # the middle one is nearest
            values = [time_s + late_s, *(pose[:3, 3] + offset), *quaternion]
            poses.append(f"{values[0]:.4f} " + " ".join(f"{value:.7f}" for value in values[1:]))
    (folder / "groundtruth.txt").write_text("\n".join(poses))
    for name, files in (("rgb", colour), ("depth", depth)) if lists else ():
        (folder / f"{name}.txt").write_text("# file\n" + "".join(f"{file.stem} {name}/{file.name}\n" for file in files))
    return colour


@pytest.mark.parametrize(
    ("factory", "name", "fx_fy_cx_cy"),
    [
        (TumSource, "rgbd_dataset_freiburg3_walking_xyz", (535.4, 539.2, 320.1, 247.6)),
        (BonnSource, "rgbd_bonn_balloon", (542.8228, 542.5764, 315.5936, 237.7561)),
    ],
)
def test_a_recording_comes_back_with_its_own_files(tmp_path, scene, write_image, factory, name, fx_fy_cx_cy) -> None:
    files = write(tmp_path / "all" / name, scene, write_image, lists=factory is TumSource)
    source = factory(str(tmp_path))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.split) == (name, 3, "test")
    assert source.keep_images
    clip = source.read(sequence, 0, 3)
    with_depth = [0, 1, 3]
    assert clip.images == tuple(files[index].read_bytes() for index in with_depth)
    assert clip.image_suffix == "png"
    np.testing.assert_array_equal(clip.frames, scene.frames[with_depth])
    np.testing.assert_allclose(clip.frame_times, [0, 1 / 30, 0.1], atol=1e-5)
    seen = np.isfinite(scene.depth[with_depth]) & (scene.depth[with_depth] < 13)
    assert np.abs(clip.depth - scene.depth[with_depth])[seen].max() <= 0.00011
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world[with_depth], atol=1e-6)
    np.testing.assert_allclose(clip.intrinsics[2][[0, 1, 0, 1], [0, 1, 2, 2]], fx_fy_cx_cy, rtol=1e-6)
    assert clip.depth_source == "sensor"


def test_every_second_pair_is_counted_after_colour_and_depth_are_associated(tmp_path, scene, write_image) -> None:
    write(tmp_path / "rgbd_dataset_freiburg3_walking_xyz", scene, write_image)  # frame 2 has no depth
    source = TumSource(str(tmp_path), every=2)
    (sequence,) = source.sequences()
    np.testing.assert_array_equal(source.read(sequence, 0, 2).frames, scene.frames[[0, 3]])
    assert sequence.num_frames == 2


def test_points_project_where_they_are(tmp_path, scene, write_image, worst_projection_px) -> None:
    write(tmp_path / "rgbd_dataset_freiburg3_sitting_xyz", scene, write_image)
    source = TumSource(str(tmp_path))
    clip = source.read(source.sequences()[0], 0, 2)
    first = type(scene)(
        frames=scene.frames[:2], depth=scene.depth[:2], intrinsics=scene.intrinsics, camera_to_world=scene.camera_to_world[:2]
    )
    assert worst_projection_px(clip, first) < 0.3
    assert not failures(check_truth(clip))
    write(tmp_path / "wrong/rgbd_dataset_freiburg3_inverse", scene, write_image, inverse=True)
    wrong = TumSource(str(tmp_path / "wrong"))
    clip = wrong.read(wrong.sequences()[0], 0, 2)
    assert worst_projection_px(clip, first) > 3
    assert "w2c_for_c2w" in [check.finding for check in failures(check_truth(clip))]


def test_a_frame_without_motion_capture_has_lost_its_pose(tmp_path, scene, write_image) -> None:
    folder = tmp_path / "rgbd_dataset_freiburg3_sitting_rpy"
    write(folder, scene, write_image)
    lines = (folder / "groundtruth.txt").read_text().splitlines()
    (folder / "groundtruth.txt").write_text("\n".join(lines[:2] + lines[5:]))  # three rows around frame 0
    source = TumSource(str(tmp_path))
    clip = source.read(source.sequences()[0], 0, 3)
    assert clip.pose_valid.tolist() == [False, True, True]


def test_cameras_with_distorted_lenses_are_left_out(tmp_path, scene, write_image) -> None:
    write(tmp_path / "rgbd_dataset_freiburg1_desk", scene, write_image)
    with pytest.raises(ConfigError, match="no tum sequence found, expected files such as rgbd_dataset_freiburg3_"):
        TumSource(str(tmp_path)).sequences()
