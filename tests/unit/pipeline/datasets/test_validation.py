from dataclasses import replace

import numpy as np
import pytest

from pipeline.datasets.projection import camera_from_world
from pipeline.datasets.validation import check_truth, failures, finding_names
from pipeline.records.truth import TruthClip


@pytest.fixture
def truth(plane_scene) -> TruthClip:
    scene = plane_scene
    camera = camera_from_world(scene.world, scene.camera_to_world)
    return TruthClip(
        frames=scene.frames,
        frame_times=np.arange(12) / 10,
        intrinsics=np.tile(scene.intrinsics, (12, 1, 1)).astype(np.float32),
        camera_to_world=scene.camera_to_world.astype(np.float32),
        pose_valid=np.ones(12, bool),
        depth=scene.depth.astype(np.float32),
        dynamic_mask=scene.dynamic_mask,
        tracks2d=scene.tracks2d.astype(np.float32),
        tracks3d=camera.astype(np.float32),
        tracks3d_world=scene.world.astype(np.float32),
        visibility=scene.visible,
        track_valid=np.ones_like(scene.visible),
        query_frame=np.zeros(len(scene.static), np.int32),
        is_metric=True,
        track_source="gt",
    )


def found(truth: TruthClip) -> list[str]:
    return [check.finding for check in failures(check_truth(truth))]


def only_depth(truth: TruthClip) -> TruthClip:
    names = ("tracks2d", "tracks3d", "tracks3d_world", "visibility", "track_valid", "query_frame", "track_source", "dynamic_mask")
    return replace(truth, **dict.fromkeys(names))


def test_a_true_clip_passes_every_check_and_looks_are_not_asked_where_depth_is_known(truth):
    checks = check_truth(truth)
    assert all(check.passed for check in checks)
    assert [check.name for check in checks] == [
        "rotation",
        "projection",
        "depth_at_tracks",
        "visibility",
        "depth_alignment",
        "static_world",
        "static_share",
        "depth_between_views",
        "camera_motion",
    ]
    assert {check.name for check in checks} < set(finding_names())


def test_what_a_clip_does_not_have_is_not_checked(truth):
    names = ("depth", "intrinsics", "tracks3d", "tracks3d_world", "camera_to_world", "pose_valid", "dynamic_mask")
    assert [check.name for check in check_truth(replace(truth, **dict.fromkeys(names)))] == ["appearance"]


def test_poses_the_other_way_round_are_named_where_the_camera_points_follow_from_them(truth):
    inverse = np.linalg.inv(truth.camera_to_world.astype(np.float64))
    wrong = camera_from_world(truth.tracks3d_world.astype(np.float64), inverse)
    assert found(replace(truth, camera_to_world=inverse.astype(np.float32), tracks3d=wrong.astype(np.float32)))[0] == "w2c_for_c2w"


def test_poses_the_other_way_round_are_named_where_the_world_follows_from_them(truth):
    """As in TAPVid-3D: points are given per camera, so only the world tells."""
    inverse = np.linalg.inv(truth.camera_to_world.astype(np.float64)).astype(np.float32)
    given = replace(truth, camera_to_world=inverse, tracks3d_world=None, depth=None, dynamic_mask=None)
    assert found(given) == ["w2c_for_c2w"]


def test_poses_the_other_way_round_are_named_by_depth_alone(truth):
    inverse = np.linalg.inv(truth.camera_to_world.astype(np.float64)).astype(np.float32)
    assert set(found(replace(only_depth(truth), camera_to_world=inverse))) == {"w2c_for_c2w"}


def test_a_camera_that_looks_backward_is_named_by_depth_alone(truth):
    turned = (truth.camera_to_world @ np.diag([1.0, -1, -1, 1])).astype(np.float32)
    assert set(found(replace(only_depth(truth), camera_to_world=turned))) == {"opengl_axes"}


def test_distances_in_place_of_depth_are_named(truth):
    rays = np.stack(np.meshgrid(np.arange(128) - 63.5, np.arange(96) - 47.5), -1) / 60.0  # a wide lens: 110 px hide the difference
    distance = truth.depth * np.sqrt(1 + (rays**2).sum(-1))
    assert "distance_for_depth" in found(wide(replace(truth, depth=distance.astype(np.float32)), 60.0))


def wide(truth: TruthClip, focal: float) -> TruthClip:
    """The same depth maps and pixels taken for those of a wider lens: points by unprojection, one frame after the other."""
    intrinsics = np.tile(np.array([[focal, 0, 63.5], [0, focal, 47.5], [0, 0, 1]], np.float32), (12, 1, 1))
    z = truth.tracks3d[..., 2:]
    points = np.concatenate([(truth.tracks2d - (63.5, 47.5)) / focal * z, z], -1).astype(np.float32)
    return replace(truth, intrinsics=intrinsics, tracks3d=points, tracks3d_world=None, camera_to_world=None, pose_valid=None)


@pytest.mark.parametrize("factor", [1000, 0.01])
def test_depth_of_another_unit_is_named(factor, truth):
    assert "depth_unit" in found(replace(truth, depth=truth.depth * np.float32(factor)))


def test_inverted_visibility_is_named(truth):
    assert set(found(replace(truth, visibility=~truth.visibility))) == {"visibility_inverted"}


def test_half_a_pixel_in_the_camera_is_named(truth):
    shifted = truth.intrinsics.copy()
    shifted[:, :2, 2] += 0.5
    assert found(replace(truth, intrinsics=shifted)) == ["half_pixel_shift"]


def test_static_points_that_move_in_the_world_fail(truth):
    drift = np.linspace(0, 2, 12, dtype=np.float32)[:, None, None]
    checks = {check.name: check for check in check_truth(replace(truth, tracks3d_world=truth.tracks3d_world + drift))}
    assert not checks["static_world"].passed


def test_a_stretched_rotation_and_a_mirror_fail(truth):
    stretched = truth.camera_to_world.copy()
    stretched[3, :3, :3] *= 1.01
    assert "rotation" in found(replace(truth, camera_to_world=stretched))
    mirrored = truth.camera_to_world.copy()
    mirrored[:, :3, 0] *= -1
    checks = {check.name: check.figure for check in check_truth(replace(truth, camera_to_world=mirrored))}
    assert checks["rotation"] == 2.0


def test_frames_with_a_lost_pose_take_no_part(truth):
    lost = truth.camera_to_world.copy()
    lost[4:6] = np.eye(4)
    valid = np.ones(12, bool)
    valid[4:6] = False
    points = truth.tracks3d.copy()
    points[4:6] = camera_from_world(truth.tracks3d_world, lost)[4:6]
    usable = truth.track_valid & valid[:, None]
    assert found(replace(truth, camera_to_world=lost, pose_valid=valid, tracks3d=points, track_valid=usable)) == []


def test_accepting_a_suspect_or_a_check_lets_it_pass(truth):
    checks = check_truth(replace(truth, visibility=~truth.visibility))
    assert failures(checks)
    assert failures(checks, ("visibility_inverted",)) == []
    assert {check.name for check in failures(checks, ("visibility",))} == {"depth_at_tracks"}


def test_a_failure_says_what_was_found_and_expected(truth):
    message = str(failures(check_truth(replace(truth, visibility=~truth.visibility)))[0])
    assert message.startswith("visibility_inverted: depth_at_tracks is ")
    assert "expected at most 0.02, as visibility_inverted would explain" in message


def orbit(num_frames: int = 8) -> TruthClip:
    """A ball of radius 1 in a round room, seen from all around at a distance of 3: views from opposite sides share almost nothing."""
    height, width, focal = 48, 64, 60.0
    y, x = np.mgrid[:height, :width]
    rays = np.stack([(x - 31.5) / focal, (y - 23.5) / focal, np.ones(x.shape)], axis=-1)
    poses, depth = np.tile(np.eye(4), (num_frames, 1, 1)), np.empty((num_frames, height, width))
    for index, angle in enumerate(2 * np.pi * np.arange(num_frames) / num_frames):
        poses[index, :3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        poses[index, :3, 3] = (0.2, 0.3, 0.1) - 3 * poses[index, :3, 2]
        directions, origin = rays @ poses[index, :3, :3].T, poses[index, :3, 3]
        a, to_ball, to_room = (directions**2).sum(-1), directions @ origin, directions @ (origin - (1.5, 0.5, 1))
        near = to_ball**2 - a * (origin @ origin - 1)
        far = to_room**2 - a * (((origin - (1.5, 0.5, 1)) ** 2).sum() - 49)
        depth[index] = np.where(near > 0, -to_ball - np.sqrt(np.maximum(near, 0)), -to_room + np.sqrt(far)) / a
    return TruthClip(
        frames=np.zeros((num_frames, height, width, 3), np.uint8),
        frame_times=np.arange(num_frames) / 10,
        intrinsics=np.tile(np.array([[focal, 0, 31.5], [0, focal, 23.5], [0, 0, 1]], np.float32), (num_frames, 1, 1)),
        camera_to_world=poses.astype(np.float32),
        pose_valid=np.ones(num_frames, bool),
        depth=depth.astype(np.float32),
        is_metric=True,
    )


def test_views_that_hide_one_another_pass_and_a_turn_the_other_way_does_not():
    truth = orbit()
    checks = check_truth(truth)
    assert "depth_between_views" in [check.name for check in checks]
    assert not failures(checks)
    other_way = truth.camera_to_world[[0, *range(len(truth.frames) - 1, 0, -1)]]
    assert "depth_between_views" in found(replace(truth, camera_to_world=other_way))
