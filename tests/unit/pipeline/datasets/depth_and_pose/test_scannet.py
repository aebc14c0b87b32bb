"""The reader of ScanNet, on a hall written as the exporter of its scans writes."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.scannet import ScanNetSource
from pipeline.datasets.validation import check_truth, failures
from pipeline.errors import DataError

COLOUR, DEPTH = (97, 130), (48, 64)  # sizes (H, W) in about the proportion of the sensor's 968 x 1296 and 480 x 640


@pytest.fixture(scope="module")
def scene(hall):
    return hall(*DEPTH, num_frames=5)


@pytest.fixture(scope="module")
def colour(hall, scene):
    scale = np.array([COLOUR[1] / DEPTH[1], COLOUR[0] / DEPTH[0]])
    K = np.eye(3)
    K[[0, 1], [0, 1]] = scene.intrinsics[[0, 1], [0, 1]] * scale
    K[:2, 2] = (scene.intrinsics[:2, 2] + 0.5) * scale - 0.5
    return hall(*COLOUR, intrinsics=K, num_frames=5).frames


def write(folder: Path, scene, colour, write_image, *, poses=None, step: int = 1) -> None:
    (folder / "pose").mkdir(parents=True)
    (folder / "intrinsic").mkdir()
    square = np.eye(4)
    square[:3, :3] = scene.intrinsics
    np.savetxt(folder / "intrinsic/intrinsic_depth.txt", square, fmt="%.6f")
    np.savetxt(folder / "intrinsic/intrinsic_color.txt", 2 * square, fmt="%.6f")
    for index, pose in enumerate(scene.camera_to_world if poses is None else poses):
        write_image(folder / f"color/{step * index}.jpg", colour[index])
        millimetres = np.where(np.isfinite(scene.depth[index]), np.round(1000 * scene.depth[index]), 0).astype(np.uint16)
        write_image(folder / f"depth/{step * index}.png", millimetres)
        np.savetxt(folder / f"pose/{step * index}.txt", pose, fmt="%.6f")


def test_a_scan_comes_back_at_the_size_of_its_depth(tmp_path, scene, colour, write_image, worst_projection_px) -> None:
    write(tmp_path / "scans/scene0042_01", scene, colour, write_image, step=3)
    source = ScanNetSource(str(tmp_path))
    (sequence,) = source.sequences()
    assert (sequence.name, sequence.num_frames, sequence.split, sequence.scene) == ("scene0042_01", 5, None, "scene0042")
    clip = source.read(sequence, 0, 5)
    assert clip.meta["orig_size"] == [97, 130]
    seen = np.isfinite(scene.depth)
    assert np.abs(clip.depth - scene.depth)[seen].max() <= 0.00051
    assert (clip.depth[~seen] == 0).all()
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world, atol=1e-6)
    np.testing.assert_allclose(clip.frame_times, [0, 0.1, 0.2, 0.3, 0.4])  # every third frame of 30 per second
    assert worst_projection_px(clip, scene) < 0.3
    assert not failures(check_truth(clip))


def test_shrunk_colour_shows_what_the_depth_camera_sees(tmp_path, scene, colour, write_image) -> None:
    write(tmp_path / "scene0042_01", scene, colour, write_image)
    source = ScanNetSource(str(tmp_path))
    frames = source.read(source.sequences()[0], 0, 5).frames.astype(int)
    inner = np.isfinite(scene.depth[:, 1:-1, 1:-1])

    def off(dx: float, dy: float) -> float:
        """Mean difference from the hall as the depth camera sees it, shifted."""
        moved = np.roll(scene.frames.astype(int), (dy, dx), axis=(1, 2))
        return float(np.abs(frames - moved)[:, 1:-1, 1:-1][inner].mean())

    assert off(0, 0) < 4
    assert min(off(1, 0), off(-1, 0), off(0, 1), off(0, -1)) > 1.5 * off(0, 0)
    assert abs(off(1, 0) - off(-1, 0)) < 0.35 * off(1, 0)  # neither side is nearer: no half pixel is lost


def test_lost_poses_are_marked_lost(tmp_path, scene, colour, write_image) -> None:
    poses = scene.camera_to_world.copy()
    poses[[0, 3]] = -np.inf
    write(tmp_path / "scene0707_00", scene, colour, write_image, poses=poses)
    source = ScanNetSource(str(tmp_path))
    (sequence,) = source.sequences()
    assert sequence.split == "test"
    clip = source.read(sequence, 0, 5)
    assert clip.pose_valid.tolist() == [False, True, True, False, True]
    np.testing.assert_array_equal(clip.camera_to_world[3], np.eye(4))
    np.testing.assert_allclose(clip.camera_to_world[4], scene.camera_to_world[4], atol=1e-6)
    assert source.read(sequence, 3, 1).camera_to_world is None


def test_every_second_frame_of_a_scan_and_of_these_the_first_two(tmp_path, scene, colour, write_image) -> None:
    write(tmp_path / "scene0707_00", scene, colour, write_image)
    source = ScanNetSource(str(tmp_path), every=2, first=2)
    (sequence,) = source.sequences()
    clip = source.read(sequence, 0, 2)
    np.testing.assert_allclose(clip.camera_to_world, scene.camera_to_world[[0, 2]], atol=1e-6)
    np.testing.assert_allclose(clip.frame_times, [0, 2 / 30])
    assert (sequence.num_frames, clip.meta["stride"]) == (2, 2)
    assert ScanNetSource(str(tmp_path)).sequences()[0].extra == {"folder": "scene0707_00"}  # as before: conversions can be continued


def test_world_to_camera_poses_would_be_seen(tmp_path, scene, colour, write_image, worst_projection_px) -> None:
    write(tmp_path / "scene0000_00", scene, colour, write_image, poses=np.linalg.inv(scene.camera_to_world))
    source = ScanNetSource(str(tmp_path))
    clip = source.read(source.sequences()[0], 0, 5)
    assert worst_projection_px(clip, scene) > 3
    assert "w2c_for_c2w" in [check.finding for check in failures(check_truth(clip))]


def test_a_mirrored_pose_and_a_depth_of_eight_bits_are_errors(tmp_path, scene, colour, write_image) -> None:
    folder = tmp_path / "scene0000_00"
    write(folder, scene, colour, write_image)
    source = ScanNetSource(str(tmp_path))
    (sequence,) = source.sequences()
    np.savetxt(folder / "pose/2.txt", np.diag([1, 1, -1, 1]))
    with pytest.raises(DataError, match="the pose of frame 1 of the clip is no rotation and translation"):
        source.read(sequence, 1, 3)
    write_image(folder / "depth/4.png", np.zeros(DEPTH, np.uint8))
    with pytest.raises(DataError, match=r"4\.png: uint8\[48, 64\], expected a PNG of one channel with 16 bits"):
        source.read(sequence, 4, 1)
