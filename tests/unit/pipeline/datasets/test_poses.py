"""Cameras of other conventions, by hand and against the golden conversions."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.poses import camera_path, inverse_poses, ned_to_opencv, opengl_to_opencv, pinhole, quaternion_poses
from pipeline.errors import DataError

GOLDEN = Path(__file__).parents[3] / "golden/metrics/dataset_conversions.npz"
HALF = np.sqrt(0.5)


def test_the_golden_rows_of_tartanair_give_the_golden_cameras() -> None:
    golden = np.load(GOLDEN)
    poses = ned_to_opencv(quaternion_poses(golden["tartanair/in/pose_left_rows"], where="pose_left.txt"))
    np.testing.assert_allclose(np.linalg.inv(poses[0]) @ poses, golden["tartanair/out/c2w_relative_to_first"], atol=1e-6)


def test_the_golden_opengl_camera_gives_the_golden_opencv_camera() -> None:
    golden = np.load(GOLDEN)
    pose = opengl_to_opencv(golden["opengl_c2w_to_opencv/in/c2w_gl"])
    np.testing.assert_allclose(pose, golden["opengl_c2w_to_opencv/out/c2w_cv"], atol=1e-6)


def test_an_aircraft_that_flies_north_looks_north_with_east_at_its_right() -> None:
    camera_to_world = ned_to_opencv(np.eye(4))  # the world's axes are north, east, down
    right, down, forward = camera_to_world[:3, :3].T
    np.testing.assert_array_equal([right, down, forward], [(0, 1, 0), (0, 0, 1), (1, 0, 0)])


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    (pose,) = quaternion_poses(np.array([[1, 2, 3, 0, 0, HALF, HALF]]), where="poses.txt")
    np.testing.assert_allclose(pose @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)


def test_a_row_of_nan_is_a_lost_pose_and_a_long_quaternion_an_error() -> None:
    poses = quaternion_poses(np.array([[0, 0, 0, 0, 0, 0, 1], [np.nan] * 7]), where="poses.txt")
    assert np.isfinite(poses).all(axis=(1, 2)).tolist() == [True, False]
    with pytest.raises(DataError, match=r"poses\.txt: a quaternion of length 1\.414, expected 1"):
        quaternion_poses(np.array([[0, 0, 0, 0, 0, 1, 1.0]]), where="poses.txt")


def test_a_world_to_camera_matrix_is_turned_round_and_a_lost_one_stays_lost() -> None:
    step = np.eye(4)
    step[:3, 3] = (1, 0, -2)
    inverse = inverse_poses(np.stack([step, np.full((4, 4), -np.inf)]))
    np.testing.assert_array_equal(inverse[0, :3, 3], (-1, 0, 2))
    assert np.isnan(inverse[1]).all()
    with pytest.raises(DataError, match="cannot be inverted"):
        inverse_poses(np.zeros((1, 4, 4)))


def test_lost_poses_are_marked_and_the_rest_stays_in_its_world() -> None:
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 0, 3] = (np.nan, 7, 8)
    path = camera_path(poses, where="poses.txt")
    assert path is not None
    assert path.pose_valid.tolist() == [False, True, True]
    assert path.camera_to_world[:, 0, 3].tolist() == [0, 7, 8]
    assert path.camera_to_world.dtype == np.float32
    assert camera_path(poses[:1], where="poses.txt") is None


@pytest.mark.parametrize("wrong", [np.diag([-1.0, 1, 1, 1]), np.diag([1.01, 1, 1, 1]), np.diag([1.0, 1, 1, 2])])
def test_mirrors_stretches_and_wrong_last_rows_are_no_poses(wrong) -> None:
    with pytest.raises(DataError, match=r"poses\.txt: the pose of frame 1 of the clip is no rotation and translation"):
        camera_path(np.stack([np.eye(4), wrong]), where="poses.txt")


def test_four_numbers_make_a_pinhole() -> None:
    assert pinhole(np.array([[2.0, 3, 4, 5]]))[0].tolist() == [[2, 0, 4], [0, 3, 5], [0, 0, 1]]
