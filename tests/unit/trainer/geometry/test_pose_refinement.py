"""Pose refinement: derivatives, energies that fall, poses that come nearer to the truth, and what is left alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.metrics.trajectories import trajectory_metrics
from tests.filmed_points import FOCAL_PX, SIZE, FilmedPoints, film_points
from trainer.geometry.pose_energy import moved_poses, pose_energy, pose_system
from trainer.geometry.pose_refinement import RefinementSettings, minimise, refine_clip, rigid_camera_to_world, window_bounds
from trainer.geometry.start_cameras import StartCameras, find_missing_poses, fit_focal, fit_unit
from trainer.geometry.static_tracks import static_by_displacement

SETTINGS = RefinementSettings()
EXACT = {"pixel_noise": 0.0, "depth_noise": 0.0, "outliers": 0.0}


def ate(poses: np.ndarray, filmed: FilmedPoints) -> float:
    return trajectory_metrics(poses, filmed.camera_to_world).ate


def refined(filmed: FilmedPoints, settings: RefinementSettings = SETTINGS, tracks=None) -> np.ndarray:
    return rigid_camera_to_world(refine_clip(tracks or filmed.tracks, filmed.start, settings).poses).numpy()


@pytest.mark.parametrize("with_scales", [False, True])
def test_the_gradient_is_the_energy_s_slope_and_a_motion_of_the_whole_world_changes_nothing(with_scales):
    filmed = film_points(num_frames=4, num_points=20, pixel_noise=1.0, outliers=0.2)
    draw, degrees = torch.Generator().manual_seed(3), 7 if with_scales else 6
    poses = moved_poses(filmed.start, 0.1 * torch.randn(4, 7, generator=draw, dtype=torch.float64))
    system = pose_system(filmed.tracks, poses, 1.5, with_scales=with_scales)
    for place in range(4 * degrees):
        step = torch.zeros(4 * degrees, dtype=torch.float64)
        step[place] = 1e-6
        ahead, back = (pose_energy(filmed.tracks, moved_poses(poses, sign * step.reshape(4, degrees)), 1.5) for sign in (1, -1))
        assert float(system.gradient.flatten()[place]) == pytest.approx((ahead - back) / 2e-6, rel=1e-5, abs=1e-3)
    spectrum = torch.linalg.eigvalsh(system.hessian.flatten(0, 1).flatten(1))
    assert (spectrum.abs() < 1e-7 * spectrum[-1]).tolist() == [True] * degrees + [False] * (3 * degrees)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_energy_falls_with_every_step_and_the_trajectory_is_five_times_nearer(seed):
    filmed = film_points(seed=seed)
    found = refine_clip(filmed.tracks, filmed.start, SETTINGS)
    assert len(found.energies) > 2
    assert all(after < before for before, after in zip(found.energies, found.energies[1:], strict=False))
    assert ate(filmed.noisy, filmed) > 5 * ate(rigid_camera_to_world(found.poses).numpy(), filmed)
    before, after = (float(errors.median()) for errors in found.errors_px)
    assert after < 1 < 5 < before
    torch.testing.assert_close(found.poses[0], filmed.start[0])  # the world stays


def test_exact_tracks_give_the_true_poses_from_far_away_in_windows_too():
    filmed = film_points(num_frames=30, num_points=60, **EXACT, pose_noise=(0.3, 5.0))
    np.testing.assert_allclose(refined(filmed), filmed.camera_to_world, atol=1e-6)
    settings = replace(SETTINGS, window=12, overlap=3)
    np.testing.assert_allclose(refined(filmed, settings), filmed.camera_to_world, atol=1e-6)


def test_windows_reach_their_end_and_share_what_they_should():
    assert window_bounds(24, 24, 8) == [(0, 24)]
    assert window_bounds(50, 24, 8) == [(0, 24), (16, 40), (26, 50)]
    assert window_bounds(40, 24, 8) == [(0, 24), (16, 40)]


def test_the_poses_of_windows_are_joined_before_all_frames_are_refined_together():
    filmed = film_points(num_frames=40, pose_noise=(0.2, 3.0))
    whole = refine_clip(filmed.tracks, filmed.start, SETTINGS)
    _, alone = minimise(filmed.tracks, filmed.start, SETTINGS)
    assert whole.energies[0] < 1.05 * alone[-1] < 0.5 * alone[0]


def test_factors_of_each_frame_s_depth_are_found_where_asked_for():
    filmed = film_points(frame_scale=0.2)
    one_scale, own_scales = (ate(refined(filmed, replace(SETTINGS, frame_scales=scales)), filmed) for scales in (False, True))
    assert ate(filmed.noisy, filmed) > 3 * own_scales
    assert one_scale > 3 * own_scales


def test_movers_bend_the_poses_unless_they_are_left_out():
    filmed = film_points(movers=60)
    static = replace(filmed.tracks, weights=(torch.arange(120) >= 60).double())
    left_in, left_out = ate(refined(filmed), filmed), ate(refined(filmed, tracks=static), filmed)
    assert left_in > 2 * left_out
    assert ate(filmed.noisy, filmed) > 5 * left_out


def test_points_that_stay_in_place_are_told_from_those_that_move():
    filmed = film_points(movers=60, depth_noise=0.005, outliers=0.0, pose_noise=(0.0, 0.0))
    static = static_by_displacement(filmed.tracks, filmed.start, 0.02)
    often = filmed.tracks.lifted.sum(0) >= 12
    assert static[60:][often[60:]].double().mean() > 0.9
    assert static[:60][often[:60]].double().mean() < 0.3


def test_a_frame_without_tracks_keeps_its_motion_from_its_neighbour():
    filmed = film_points()
    blind = filmed.tracks.seen.clone()
    blind[9] = False
    found = refine_clip(replace(filmed.tracks, seen=blind, lifted=filmed.tracks.lifted & blind), filmed.start, SETTINGS)
    assert found.held.tolist() == [t != 9 for t in range(24)]
    assert torch.isnan(found.errors_px[1]).tolist() == [t == 9 for t in range(24)]
    moved, before = (poses[9] @ torch.linalg.inv(poses[8]) for poses in (found.poses, filmed.start))
    torch.testing.assert_close(moved, before)


def test_too_few_shared_tracks_are_no_refinement():
    filmed = film_points(num_points=10)
    assert refine_clip(filmed.tracks, filmed.start, SETTINGS) is None
    assert refine_clip(filmed.tracks, filmed.start, replace(SETTINGS, fewest_tracks=4)) is not None


def test_the_unit_of_poses_is_brought_to_that_of_depth():
    filmed = film_points()
    start = filmed.start.clone()
    start[:, :3, 3] /= 37
    found = fit_unit(StartCameras(tracks=filmed.tracks, poses=start), huber_px=1.5)
    factors = found.poses[1:, :3, 3] / start[1:, :3, 3]
    assert float(factors.std()) < 1e-9
    assert float(factors.mean()) == pytest.approx(37, rel=0.1)
    still = StartCameras(tracks=filmed.tracks, poses=torch.eye(4, dtype=torch.float64).repeat(24, 1, 1))
    assert fit_unit(still, huber_px=1.5) is still


def test_the_focal_length_is_found_from_noisy_poses_in_another_unit():
    filmed = film_points()
    start = filmed.start.clone()
    start[:, :3, 3] /= 37
    unknown = replace(filmed.tracks, intrinsics=torch.full((24, 3, 3), torch.nan, dtype=torch.float64))
    found = fit_focal(StartCameras(tracks=unknown, poses=start), size=SIZE, settings=SETTINGS, with_unit=True)
    expected = torch.tensor([[FOCAL_PX, 0, 111.5], [0, FOCAL_PX, 83.5], [0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(found.tracks.intrinsics, expected.expand(24, 3, 3), rtol=0.02, atol=1e-9)
    torch.testing.assert_close(found.tracks.points, filmed.tracks.points, rtol=0.02, atol=0.02)


def test_a_frame_that_has_no_pose_is_given_one_by_its_points():
    filmed = film_points(pose_noise=(0.0, 0.0), depth_noise=0.0, outliers=0.0)
    start, valid = filmed.start.clone(), torch.arange(24) != 9
    start[9] = torch.eye(4)
    found, known = find_missing_poses(StartCameras(tracks=filmed.tracks, poses=start), valid, size=SIZE)
    assert known.all()
    torch.testing.assert_close(found.poses[9], filmed.start[9], atol=0.02, rtol=0)
    blind = replace(filmed.tracks, seen=filmed.tracks.seen & valid[:, None])
    assert find_missing_poses(StartCameras(tracks=blind, poses=start), valid, size=SIZE)[1].tolist() == valid.tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"overlap": 24}, "--overlap is 24, expected below --window"), ({"huber_px": 0.0}, "--huber-px"), ({"window": 1}, "--window is 1")],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        RefinementSettings(**changes)
