import io

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.manifest.cameras import intrinsics_to_pixels, read_pseudo_cameras

NORMALISED = np.array([[0.75, 0, 0.5], [0, 1.25, 0.25], [0, 0, 1]])
PIXELS = np.array([[480.0, 0, 319.5], [0, 450.0, 89.5], [0, 0, 1]])  # of 640 x 360, by hand: 0.75 * 640, 0.5 * 640 - 0.5, ...


def make_poses(count):
    """Poses told apart by how far they lie along x."""
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = np.arange(count)
    return poses


@pytest.fixture
def cameras_of(put):
    def read(frames=range(3), span_frames=4, size=(360, 640), **arrays):
        buffer = io.BytesIO()
        np.savez(buffer, **{"extrinsic": make_poses(4), "intrinsic": NORMALISED, **arrays})
        return read_pseudo_cameras(put("camera.npz", buffer.getvalue()), size=size, span_frames=span_frames, frames=frames)

    return read


def test_normalised_intrinsics_become_pixels_whose_integers_are_centres(cameras_of):
    cameras = cameras_of()
    np.testing.assert_allclose(cameras.intrinsics, np.tile(PIXELS, (3, 1, 1)))
    assert cameras.intrinsics.dtype == cameras.camera_to_world.dtype == np.float32


def test_the_middle_of_an_image_is_the_middle_of_its_pixels():
    """Two pixels wide, the middle lies at 0.5, between the centres 0 and 1; resized to one pixel it is that pixel's centre."""
    middle = np.array([[1.0, 0, 0.5], [0, 1.0, 0.5], [0, 0, 1]])
    assert intrinsics_to_pixels(middle, (1, 2))[:2, 2].tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    "intrinsic",
    [
        np.array([0.75, 1.25, 0.5, 0.25]),
        np.tile([0.75, 1.25, 0.5, 0.25], (4, 1)),
        np.tile(NORMALISED, (4, 1, 1)),
        NORMALISED[None].astype(np.float32),
    ],
    ids=["four numbers", "four numbers per pose", "a matrix per pose", "one matrix in a list"],
)
def test_intrinsics_come_in_several_forms(cameras_of, intrinsic):
    np.testing.assert_allclose(cameras_of(intrinsic=intrinsic).intrinsics, np.tile(PIXELS, (3, 1, 1)), rtol=1e-6)


def test_poses_are_those_of_the_chosen_frames_unchanged(cameras_of):
    cameras = cameras_of(frames=[1, 3])
    assert cameras.camera_to_world[:, 0, 3].tolist() == [1, 3]
    assert cameras.pose_valid.tolist() == [True, True]


def test_frames_beyond_the_last_pose_are_not_valid(cameras_of):
    cameras = cameras_of(frames=range(2, 6), span_frames=6)
    assert cameras.pose_valid.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(cameras.camera_to_world[2:], np.tile(np.eye(4), (2, 1, 1)))


def test_poses_at_half_the_videos_rate_are_valid_at_every_second_frame(cameras_of):
    cameras = cameras_of(frames=range(10, 14), span_frames=40, extrinsic=make_poses(20))
    assert cameras.pose_valid.tolist() == [True, False, True, False]
    assert cameras.camera_to_world[[0, 2], 0, 3].tolist() == [5, 6]


def test_a_frame_whose_pose_or_intrinsics_are_not_finite_is_not_valid(cameras_of):
    poses, matrices = make_poses(4), np.tile(NORMALISED, (4, 1, 1))
    poses[1, 2, 2], matrices[2, 0, 0] = np.nan, np.inf
    cameras = cameras_of(extrinsic=poses, intrinsic=matrices, frames=range(4))
    assert cameras.pose_valid.tolist() == [True, False, False, True]
    np.testing.assert_allclose(cameras.intrinsics, np.tile(PIXELS, (4, 1, 1)))
    np.testing.assert_array_equal(cameras.camera_to_world[1], np.eye(4))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"intrinsic": PIXELS}, r"focal lengths 450..480 and principal points 89.5..319.5 are not normalised"),
        ({"intrinsic": np.array([0.75, 1.25, 1.0, 0.5])}, "not normalised"),
        ({"intrinsic": np.array([-0.75, 1.25, 0.5, 0.5])}, "not normalised"),
        ({"intrinsic": np.array([0.75, 5.0, 0.5, 0.5])}, "not normalised"),
        ({"intrinsic": np.full(4, np.nan)}, "no intrinsic is finite"),
        ({"intrinsic": np.ones((2, 3, 3))}, r"intrinsic has shape \[2, 3, 3\], expected \[3, 3\], \[4\], or one per pose \(4\)"),
        ({"intrinsic": np.array([1, 1, 0, 0])}, "intrinsic is int64"),
        ({"extrinsic": make_poses(4)[:, :3]}, r"extrinsic has shape \[4, 3, 4\]"),
        ({"extrinsic": make_poses(0)}, r"extrinsic has shape \[0, 4, 4\]"),
        ({"extrinsic": make_poses(50)}, "50 poses for a span of 4 frames"),
        ({"extrinsic": np.array([None, 1], object)}, "not a readable npz file"),
        ({"frames": [4]}, r"frames 4..4 asked for, the span has 4"),
        ({"frames": [-1]}, r"frames -1..-1 asked for"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused_by_name(cameras_of, arrays, message):
    with pytest.raises(DataError, match=rf"camera\.npz: .*{message}"):
        cameras_of(**arrays)


def test_a_file_without_the_arrays_says_what_it_holds(put):
    buffer = io.BytesIO()
    np.savez(buffer, poses=make_poses(2), K=NORMALISED)
    with pytest.raises(DataError, match=r"camera\.npz: no array extrinsic; found poses, K"):
        read_pseudo_cameras(put("camera.npz", buffer.getvalue()), size=(4, 4), span_frames=2, frames=[0])


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_npz_is_refused_by_name(put, content):
    with pytest.raises(DataError, match=r"camera\.npz: not a readable npz file"):
        read_pseudo_cameras(put("camera.npz", content), size=(4, 4), span_frames=2, frames=[0])


def test_a_single_array_is_refused_by_name(put):
    buffer = io.BytesIO()
    np.save(buffer, NORMALISED)
    with pytest.raises(DataError, match="a single array, expected an npz file"):
        read_pseudo_cameras(put("camera.npz", buffer.getvalue()), size=(4, 4), span_frames=2, frames=[0])
