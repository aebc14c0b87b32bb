"""Windows with worlds of their own are rejoined; wrong points are outvoted, noise does not shrink the world, errors are what they are."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import DataError
from tests.unit.trainer.inference.sequences import part, random_similarity, walk, window_by_window
from trainer.inference import Reconstruction, WindowPlan, reconstruct
from trainer.inference.geometry import move_prediction
from trainer.inference.joining import join_windows, robust_similarity


def cloud(rng, num_points=2000):
    """Points in front of a camera, and their depth."""
    points = rng.normal(0, 1, (num_points, 3)) + (0, 0, 6)
    return points, points[:, 2]


def assert_same(found, expected, atol):
    np.testing.assert_allclose(found.rotation, expected.rotation, atol=atol)
    np.testing.assert_allclose(found.translation, expected.translation, atol=10 * atol)
    assert found.scale == pytest.approx(expected.scale, rel=atol)


@pytest.mark.parametrize("wrong_share", [0.0, 0.3])
def test_a_similarity_comes_back_though_a_third_of_the_points_is_wrong(wrong_share):
    rng = np.random.default_rng(3)
    true = random_similarity(rng)
    target, depth = cloud(rng)
    source = (target - true.translation) @ true.rotation / true.scale
    wrong = np.arange(len(source)) < wrong_share * len(source)
    source[wrong] = source[wrong] * 1.5 + rng.normal(0, 1, (wrong.sum(), 3)) + 2  # all of them to one side
    fit = robust_similarity(source, target, depth=depth, weights=rng.uniform(0.1, 1, len(source)))
    assert_same(fit.similarity, true, 1e-8)
    np.testing.assert_array_equal(fit.inliers, ~wrong)


def test_noise_on_both_sides_leaves_the_scale():
    rng = np.random.default_rng(4)
    scales = []
    for _ in range(6):
        target, depth = cloud(rng)
        noisy = [target + rng.normal(0, 0.2, target.shape) for _ in range(2)]  # least squares would give 1 / (1 + 0.2**2) = 0.96
        scales.append(robust_similarity(*noisy, depth=depth, weights=np.ones(len(depth))).similarity.scale)
    assert np.mean(scales) == pytest.approx(1, abs=0.005)


def test_points_on_a_line_or_mirrored_points_join_nothing():
    line = np.outer(np.arange(1, 9), (0.0, 0.0, 1.0))
    with pytest.raises(DataError, match="one line"):
        robust_similarity(line, line, depth=line[:, 2], weights=np.ones(8))


def test_windows_of_a_known_walk_are_rejoined(tmp_path):
    whole = walk(30)
    with Reconstruction(str(tmp_path), least_confidence=0.1) as joined:
        joints = list(reconstruct(WindowPlan(length=8, overlap=3).cut(range(30)), window_by_window(whole), joined))
        np.testing.assert_array_equal(joined.frames(0, 30), whole.frames)
        np.testing.assert_allclose(joined.points(0, 30), whole.points, atol=1e-5 * 5)
        np.testing.assert_allclose(joined.camera_to_world, whole.camera_to_world, atol=1e-5)
        for t in (0, 7, 8, 29):
            for_track = whole.tracks.world[t][joined.tracks(t).columns % 5]
            np.testing.assert_allclose(joined.tracks(t).world, for_track, atol=1e-5 * 5)
    assert joints[0] is None
    assert [(joint.first, joint.num_frames) for joint in joints[1:]] == [(5, 3), (10, 3), (15, 3), (20, 3), (22, 6)]
    assert max(joint.error for joint in joints[1:]) < 1e-5
    assert max(joint.turn_deg for joint in joints[1:]) < 1e-3
    assert max(joint.shift for joint in joints[1:]) < 1e-5


def test_the_error_of_a_joint_is_relative_to_depth_and_does_not_count_outliers():
    whole = walk(6)
    before, after = part(whole, 0, 4), part(whole, 2, 4)
    sign = np.random.default_rng(0).choice([-1.0, 1.0], after.local_points.shape[:3])
    offset = 0.01 * after.depth * sign  # a hundredth of the depth, up or down: a half more, or less, than none
    offset[:, :2] = 50.0  # rows of rubbish
    moved = replace(after, points=(after.points + offset[..., None] * np.float32([0, 1, 0])).astype(np.float32))
    joint = join_windows(before, moved, shared=2, first=2, least_confidence=0.1)
    assert joint.error == pytest.approx(0.01, rel=0.1)
    assert joint.inliers == pytest.approx(10 / 12, abs=0.01)


def test_cameras_that_disagree_are_measured():
    whole = walk(5)
    after = part(whole, 2, 3)
    poses = after.camera_to_world.copy()
    poses[:, 0, 3] += 0.5
    turn = np.radians(2)
    poses[:, :3, :3] = poses[:, :3, :3] @ np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    joint = join_windows(part(whole, 0, 5), replace(after, camera_to_world=poses.astype(np.float32)), shared=3, first=2, least_confidence=0)
    assert joint.turn_deg == pytest.approx(2, abs=0.01)
    assert joint.shift == pytest.approx(0.5 / np.median(whole.depth[2:]), rel=1e-3)


def test_what_cannot_be_joined_is_said_with_its_frames():
    whole = walk(6)
    before, after = part(whole, 0, 4), part(whole, 2, 4)
    with pytest.raises(DataError, match="share no frame"):
        join_windows(before, after, shared=0, first=4, least_confidence=0)
    with pytest.raises(DataError, match=r"frames 2 to 3.*--min-confidence"):
        join_windows(before, after, shared=2, first=2, least_confidence=1.0)


def test_a_moved_prediction_is_seen_by_its_cameras_as_before():
    whole = walk(3)
    there = random_similarity(np.random.default_rng(7))
    moved = move_prediction(whole, there)
    rotation, centre = moved.camera_to_world[:, :3, :3], moved.camera_to_world[:, :3, 3]
    np.testing.assert_allclose(np.einsum("tij,thwj->thwi", rotation, moved.local_points) + centre[:, None, None], moved.points, atol=1e-4)
    np.testing.assert_allclose(moved.local_points, whole.local_points * there.scale, rtol=1e-6)
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (3, 1, 1)), atol=1e-6)
    tracks = np.einsum("tij,tnj->tni", rotation, moved.tracks.camera) + centre[:, None]
    np.testing.assert_allclose(moved.tracks.world, tracks, atol=1e-4)
