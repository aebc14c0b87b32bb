"""Scenes of points in space with three moving objects, projected by a camera that travels, only turns, or stands."""

import cv2
import numpy as np
import pytest
from scipy.stats import rankdata

from pipeline.audit.tracks.epipolar import pair_geometries
from pipeline.audit.tracks.static_gate import LONG_GAP, SHORT_GAP, static_gate

FOCAL, SIZE = 256.0, 256


def scene(seed, *, travel_m=0.0, turn=0.0, num_points=300, noise_px=0.3):
    """Tracks "32 N 2" and which of them move: a floor, walls, and 20 % of the points on three objects with courses of their own."""
    rng = np.random.default_rng(seed)
    pixel = rng.uniform(10, 246, (num_points, 2))
    floor = 1.6 * FOCAL / np.maximum(pixel[:, 1] - 128, 4)
    depth = np.where((pixel[:, 1] > 140) & (floor < 14), floor, rng.choice([6.0, 10.0, 14.0], num_points))
    velocity = np.zeros((num_points, 3))
    for _ in range(3):
        members = np.argsort(np.linalg.norm(pixel - rng.uniform(50, 206, 2), axis=1))[: num_points // 15]
        depth[members] = rng.uniform(3, 6) + rng.uniform(-0.2, 0.2, len(members))
        course = rng.normal(size=3) * [1, 0.5, 0.5]
        velocity[members] = course / np.linalg.norm(course) * rng.uniform(0.03, 0.08)
    places = np.column_stack([(pixel - 128) / FOCAL * depth[:, None], depth])
    heading, axis = rng.normal(size=3) * [1, 0.3, 1], rng.normal(size=3) * [0.3, 1, 0.2]
    heading, axis = heading / np.linalg.norm(heading) * travel_m, axis / np.linalg.norm(axis) * turn
    seen = [(places + velocity * t - heading * t) @ cv2.Rodrigues(axis * t)[0] for t in range(32)]
    tracks = np.stack([point[:, :2] / np.maximum(point[:, 2:], 0.1) * FOCAL + 128 for point in seen])
    tracks += rng.normal(size=tracks.shape) * noise_px
    visible = ((tracks >= -0.5) & (tracks <= 255.5)).all(axis=-1)
    return tracks, visible, velocity.any(axis=1)


def gate_of(tracks, visible):
    pairs = [pair for gap in (SHORT_GAP, LONG_GAP) for pair in pair_geometries(tracks, visible, gap=gap)]
    return static_gate(pairs, visible.shape[1], height=SIZE, width=SIZE)


def auroc(score, positive):
    known = ~np.isnan(score)
    rank, positive = rankdata(score[known]), positive[known]
    wins = rank[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return wins / (positive.sum() * (~positive).sum())


@pytest.mark.parametrize(
    ("camera", "least"),
    [({"travel_m": 0.06, "turn": 0.003}, 0.95), ({"turn": 0.008}, 0.97), ({}, 0.97)],
    ids=["travels", "turns", "stands"],
)
def test_moving_objects_are_told_from_the_static_scene(camera, least):
    found = []
    for seed in range(3):
        tracks, visible, moving = scene(seed, **camera)
        found.append(auroc(gate_of(tracks, visible).static_score, ~moving))
    assert np.mean(found) > least


def test_a_camera_that_stands_is_recognised_and_what_moves_a_pixel_is_dynamic():
    tracks = np.repeat(np.random.default_rng(0).uniform(0, 255, (1, 40, 2)), 26, axis=0)
    tracks[:, 0, 0] += 0.2 * np.arange(26)  # 1.6 px over 8 frames
    gate = gate_of(tracks, np.ones((26, 40), bool))
    assert {pair.model for pair in gate.pairs} == {"none"}
    assert not any(pair.has_pose_signal for pair in gate.pairs)
    assert gate.static_score[0] < 0.2
    np.testing.assert_array_equal(gate.static_score[1:], 1)
    assert gate.static_inlier_ratio == pytest.approx(39 / 40)


def test_a_turning_camera_needs_no_more_than_a_homography_and_a_travelling_one_does():
    turning, travelling = (gate_of(*scene(1, **camera)[:2]) for camera in ({"turn": 0.008}, {"travel_m": 0.06}))
    assert "fundamental" not in {pair.model for pair in turning.pairs}
    assert "fundamental" in {pair.model for pair in travelling.pairs}
    assert np.median([pair.parallax_px for pair in travelling.pairs]) > 4 * np.median([pair.parallax_px for pair in turning.pairs])


def test_a_lone_point_that_runs_along_its_epipolar_line_is_dynamic():
    tracks, visible, _ = scene(0, travel_m=0.0, noise_px=0.0)
    depth = np.where(np.arange(300) % 2 == 0, 4.0, np.random.default_rng(0).uniform(8, 14, 300))
    tracks = tracks[:1] + np.arange(32)[:, None, None] * np.column_stack([10 / depth, np.zeros(300)])  # a camera that slides sideways
    visible = ((tracks >= -0.5) & (tracks <= 255.5)).all(axis=-1)
    runner = int(np.argmin(np.abs(tracks[0] - 100).sum(axis=1)))
    tracks[:, runner] = tracks[0, runner] + np.arange(32)[:, None] * np.array([-2.0, 0.0])
    gate = gate_of(tracks, visible)
    assert gate.static_score[runner] < 0.1
    assert gate.static_inlier_ratio > 0.95


@pytest.mark.parametrize("crowd", [0, 300])
def test_a_crowd_of_tracks_on_one_moving_object_does_not_take_the_scene_over(crowd):
    tracks, visible, moving = scene(0, travel_m=0.06, turn=0.003)
    rng = np.random.default_rng(1)
    some = np.flatnonzero(moving)[:3]  # on one object; a rigid shape about them, that grows and turns as it comes
    offset, t = rng.uniform(-8, 8, (crowd, 2)), np.arange(32)[:, None, None]
    angle = 0.03 * t
    turned = np.concatenate([np.cos(angle), -np.sin(angle)], -1) * offset, np.concatenate([np.sin(angle), np.cos(angle)], -1) * offset
    placed = tracks[:, some[:1]] + (1 + 0.02 * t) * np.stack([part.sum(axis=-1) for part in turned], axis=-1)
    everyone = np.concatenate([tracks, placed], axis=1)
    seen = np.concatenate([visible, np.repeat(visible[:, some[:1]], crowd, axis=1)], axis=1)
    score = gate_of(everyone, seen).static_score
    assert auroc(score[:300], ~moving) > 0.95
    assert np.mean(score[300:] >= 0.5) < 0.1 if crowd else True


def test_a_lens_unlike_the_guessed_one_is_no_reason_to_call_a_scene_dynamic():
    rng, focal = np.random.default_rng(0), 600.0  # 24 degrees; guessed are 61
    depth = rng.uniform(3, 14, 300)
    places = np.column_stack([rng.uniform(-123, 123, (300, 2)) / focal * depth[:, None], depth])
    seen = [(places - [0.05 * t, 0.01 * t, 0.05 * t]) @ cv2.Rodrigues(np.array([0.001, -0.005, 0.003]) * t)[0] for t in range(32)]
    tracks = np.stack([point[:, :2] / point[:, 2:] * focal + 128 for point in seen])
    visible = ((tracks >= -0.5) & (tracks <= 255.5)).all(axis=-1)
    assert gate_of(tracks, visible).static_inlier_ratio > 0.8  # some stand beside edges of depth, with neighbours unlike them


def test_a_track_in_a_single_pair_is_judged_by_it_and_one_in_none_is_unknown():
    tracks, visible, moving = scene(0, travel_m=0.06, turn=0.003)
    everyone = visible.copy()
    visible[9:] = False  # of the pairs only (0, 8) is left
    visible[9:, 100:] = everyone[9:, 100:]  # of a third of the tracks
    visible[7:, 5] = False
    score = gate_of(tracks, visible).static_score
    short = ~np.isnan(score[:100])
    assert np.isnan(score[5])
    assert short.sum() > 80
    assert auroc(score[:100], ~moving[:100]) > 0.9


def test_no_pairs_decide_nothing():
    gate = static_gate([], 5, height=96, width=128)
    assert np.isnan(gate.static_score).all()
    assert np.isnan(gate.static_inlier_ratio)
