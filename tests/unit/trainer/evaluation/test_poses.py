"""Poses and their inverses."""

import numpy as np

from tests.unit.trainer.evaluation.worlds import true_sample
from trainer.evaluation.truth_metrics import measure_relative_poses, world_to_camera


def test_the_inverse_of_a_pose_undoes_it():
    poses = true_sample().camera_to_world
    np.testing.assert_allclose(world_to_camera(poses) @ poses, np.tile(np.eye(4), (len(poses), 1, 1)), atol=1e-6)


def test_frames_are_drawn_by_seed_and_key():
    sample = true_sample()
    turned = sample.camera_to_world.copy()
    turned[0, :3, :3] = np.diag([-1, -1, 1])  # frame 0 alone is wrong, by 180 degrees
    drawn = [measure_relative_poses(turned, sample, count=2, seed=seed) for seed in range(12)]
    wrong = [bool(each.rotation_deg[0] > 90) for each in drawn]
    assert 0 < sum(wrong) < 12  # half of the pairs of four frames hold frame 0
    assert [bool(measure_relative_poses(turned, sample, count=2, seed=seed).rotation_deg[0] > 90) for seed in range(12)] == wrong
    assert len(measure_relative_poses(turned, sample, count=10, seed=0).rotation_deg) == 6
