import numpy as np
import pytest

from pipeline.records.pixel_transforms import Crop
from pipeline.records.views import crop, mirror, resize, take_frames, take_tracks


def test_frames_are_taken_in_the_order_asked_for_and_queries_follow(make_clip):
    sample = make_clip(num_tracks=4, query_frame=np.array([5, 2, 0, -1], np.int32))
    taken = take_frames(sample, np.array([5, 3, 2, 5]))
    np.testing.assert_array_equal(taken.frame_indices, [5, 3, 2, 5])
    np.testing.assert_array_equal(taken.tracks2d[1], sample.tracks2d[3])
    np.testing.assert_array_equal(taken.camera_to_world[2], sample.camera_to_world[2])
    np.testing.assert_array_equal(taken.query_frame, [0, 2, -1, -1])  # a frame that comes twice counts where it comes first


def test_tracks_are_taken_with_all_that_belongs_to_them(make_clip):
    sample = make_clip(num_tracks=4, track_weights=np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    taken = take_tracks(sample, np.array([3, 1]))
    np.testing.assert_array_equal(taken.track_weights, np.array([0.4, 0.2], np.float32))
    np.testing.assert_array_equal(taken.tracks3d_world, sample.tracks3d_world[:, [3, 1]])


@pytest.mark.parametrize("rectangle", [Crop(left=0, top=0, width=80, height=60), Crop(left=13, top=4, width=50, height=41)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_points_projected_by_the_changed_cameras_are_the_changed_tracks(make_clip, project, rectangle, mirrored):
    sample = resize(crop(make_clip(), rectangle), (56, 98))
    sample = mirror(sample) if mirrored else sample
    expected = project(sample.tracks3d_world, sample.intrinsics, sample.camera_to_world)
    np.testing.assert_allclose(sample.tracks2d, expected, atol=2e-4)


def test_a_crop_moves_points_and_cameras_as_worked_out_by_hand(make_clip):
    sample = make_clip(num_tracks=1, tracks2d=np.full((6, 1, 2), [20.0, 10.0], np.float32))
    changed = resize(crop(sample, Crop(left=10, top=6, width=40, height=20)), (40, 120))  # twice as high, three times as wide
    np.testing.assert_allclose(changed.tracks2d[0, 0], [(20 - 10 + 0.5) * 3 - 0.5, (10 - 6 + 0.5) * 2 - 0.5])
    np.testing.assert_allclose(
        changed.intrinsics[0], [[210, 4.5, (36 - 10 + 0.5) * 3 - 0.5], [0, 132, (31 - 6 + 0.5) * 2 - 0.5], [0, 0, 1]]
    )


def test_colours_and_depth_go_where_the_tracks_go(make_clip):
    """The wall is as red as it lies right in the world: red and depth at a pixel must be those of the point that is seen there."""
    sample = mirror(resize(crop(make_clip(num_tracks=200), Crop(left=9, top=7, width=60, height=48)), (42, 56)))
    at = sample.tracks2d.round().astype(int)
    inside = ((at >= 0) & (at < [56, 42])).all(-1)
    frame = np.broadcast_to(np.arange(6)[:, None], inside.shape)[inside]
    x, y = at[inside].T
    red = sample.frames[frame, y, x, 0].astype(float)
    np.testing.assert_allclose(red, 128 - 40 * sample.tracks3d_world[inside][:, 0], atol=4)  # mirrored: x is negated
    from_world = np.linalg.inv(sample.camera_to_world)
    camera = sample.tracks3d_world @ from_world[:, :3, :3].mT + from_world[:, None, :3, 3]
    np.testing.assert_allclose(sample.depth[frame, y, x], camera[inside][:, 2], rtol=0.01)


def test_two_mirrors_change_nothing_and_one_keeps_cameras_rigid(make_clip):
    sample = make_clip()
    once = mirror(sample)
    np.testing.assert_allclose(np.linalg.det(once.camera_to_world), 1, atol=1e-6)
    twice = mirror(once)
    for name in ("frames", "tracks2d", "tracks3d_world", "intrinsics", "camera_to_world", "depth"):
        np.testing.assert_allclose(getattr(twice, name), getattr(sample, name), atol=1e-5)
        assert not np.allclose(getattr(once, name), getattr(sample, name), atol=1e-3)
