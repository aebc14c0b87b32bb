from dataclasses import replace

import numpy as np
import pytest

from pipeline.datasets.reprojection import with_reprojected_tracks
from pipeline.datasets.validation import check_truth, failures
from pipeline.records.truth import TruthClip


def depth_clip(scene) -> TruthClip:
    """The scene as a source that gives depth and poses, and nothing else."""
    return TruthClip(
        frames=scene.frames,
        frame_times=np.arange(scene.num_frames) / 10,
        intrinsics=np.tile(scene.intrinsics, (scene.num_frames, 1, 1)).astype(np.float32),
        camera_to_world=scene.camera_to_world.astype(np.float32),
        pose_valid=np.ones(scene.num_frames, bool),
        depth=scene.depth.astype(np.float32),
        is_metric=True,
    )


@pytest.fixture
def truth(plane_scene) -> TruthClip:
    return depth_clip(plane_scene)


def test_a_point_on_a_plane_goes_where_the_hand_puts_it():
    """A wall 4 m ahead, focal length 100 px, a camera that steps 0.08 m to the right: everything moves 2 px to the left."""
    poses = np.tile(np.eye(4, dtype=np.float32), (3, 1, 1))
    poses[:, 0, 3] = (0, 0.08, 0.16)
    clip = TruthClip(
        frames=np.zeros((3, 32, 48, 3), np.uint8),
        frame_times=np.arange(3.0),
        intrinsics=np.tile(np.array([[100, 0, 23.5], [0, 100, 15.5], [0, 0, 1]], np.float32), (3, 1, 1)),
        camera_to_world=poses,
        pose_valid=np.ones(3, bool),
        depth=np.full((3, 32, 48), 4, np.float32),
    )
    made = with_reprojected_tracks(clip, 48)
    np.testing.assert_allclose(made.tracks2d[1] - made.tracks2d[0], np.tile([[-2.0, 0]], (made.tracks2d.shape[1], 1)), atol=1e-4)
    assert (made.tracks2d[made.query_frame, np.arange(len(made.query_frame))] >= 0).all()
    np.testing.assert_array_equal(made.visibility, (made.tracks2d[..., 0] >= -0.5) & (made.tracks2d[..., 0] <= 47.5))
    assert made.track_source == "reprojection"


def test_tracks_stand_still_and_agree_with_depth_where_they_are_seen(truth, plane_scene):
    made = with_reprojected_tracks(truth, 600)
    assert made.tracks2d.shape[1] > 300
    assert np.ptp(made.tracks3d_world, axis=0).max() == 0
    rows, columns = np.round(made.tracks2d[..., 1]), np.round(made.tracks2d[..., 0])
    frame, track = np.nonzero(made.visibility)
    depth = plane_scene.depth[frame, rows[frame, track].astype(int), columns[frame, track].astype(int)]
    np.testing.assert_allclose(made.tracks3d[frame, track, 2], depth, rtol=0.03)
    assert failures(check_truth(made)) == []


def test_points_on_the_mover_are_left_out_though_no_mask_shows_it(truth, plane_scene):
    made = with_reprojected_tracks(truth, 600)
    start = made.tracks2d[made.query_frame, np.arange(len(made.query_frame))].round().astype(int)
    on_card = plane_scene.dynamic_mask[made.query_frame, start[:, 1], start[:, 0]]
    assert on_card.mean() < 0.01
    assert plane_scene.dynamic_mask[0].mean() > 0.05


def test_no_track_starts_where_the_mask_says_that_something_moves(truth):
    mask = np.zeros((12, 96, 128), bool)
    mask[[0, 6], :, :64] = True  # in the two frames on which tracks start
    made = with_reprojected_tracks(replace(truth, dynamic_mask=mask), 600)
    on_start = [np.abs(made.tracks2d[frame] - made.tracks2d[frame].round()).max(axis=-1) < 1e-3 for frame in (0, 6)]
    assert (on_start[0] | on_start[1]).all()  # every track passes through a pixel of its grid in one of the two
    assert made.tracks2d[0, on_start[0] & ~on_start[1], 0].min() >= 64
    assert made.tracks2d[6, on_start[1] & ~on_start[0], 0].min() >= 64


def test_points_behind_the_card_are_hidden_and_still_known(truth, plane_scene):
    made = with_reprojected_tracks(replace(truth, dynamic_mask=plane_scene.dynamic_mask), 600)
    at = np.clip(made.tracks2d.round().astype(int), 0, (127, 95))
    inside = ((made.tracks2d >= 0) & (made.tracks2d <= (127, 95))).all(axis=-1)
    behind = inside & plane_scene.dynamic_mask[np.arange(12)[:, None], at[..., 1], at[..., 0]]
    assert behind.sum() > 50
    assert not made.visibility[behind].any()
    assert made.track_valid[behind].all()


def test_frames_with_a_lost_pose_hold_no_valid_point(truth):
    valid = np.ones(12, bool)
    valid[[0, 5]] = False
    poses = truth.camera_to_world.copy()
    poses[[0, 5]] = np.eye(4)
    made = with_reprojected_tracks(replace(truth, pose_valid=valid, camera_to_world=poses), 300)
    assert not made.track_valid[[0, 5]].any()
    assert not made.visibility[[0, 5]].any()
    assert made.query_frame.min() == 1
    assert np.isfinite(made.tracks2d).all()


@pytest.mark.parametrize("missing", ["depth", "intrinsics", "camera_to_world"])
def test_without_depth_or_camera_there_are_no_tracks(missing, truth):
    without = replace(truth, **{missing: None}, **({"pose_valid": None} if missing == "camera_to_world" else {}))
    assert with_reprojected_tracks(without, 300).tracks2d is None


def test_none_asked_for_none_made(truth):
    assert with_reprojected_tracks(truth, 0) is truth
