"""Labels of cameras, tracks in space and flow that are the truth, and that are off by what was put in."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.errors import ConfigError
from pipeline.metrics.world_tracks import tracks_in_first_camera
from pipeline.records import CameraLabels, ClipSample, FlowLabels, Tracks3dLabels
from tests.unit.trainer.evaluation.worlds import H, N, T, W, true_sample
from trainer.evaluation import ClipScores, EvaluationSettings, measure_labels
from trainer.evaluation.label_scores import flow_at

MOTION = np.array([1.5, -0.5], np.float32)  # pixels a frame


def scores(labels, sample) -> ClipScores:
    found = measure_labels(labels, sample, EvaluationSettings())
    assert isinstance(found, ClipScores), found
    return found


def cameras(sample: ClipSample, *, valid=(True,) * T) -> CameraLabels:
    """The true poses, seen from elsewhere and in another unit."""
    turn = Rotation.from_rotvec([0.3, -1.1, 0.4]).as_matrix()
    poses = sample.camera_to_world.astype(np.float64)
    poses[:, :3, 3] = 2.5 * poses[:, :3, 3] @ turn.T + [3, 2, 1]
    poses[:, :3, :3] = turn @ poses[:, :3, :3]
    return CameraLabels(camera_to_world=poses.astype(np.float32), pose_valid=np.array(valid), scale="relative")


def tracks(sample: ClipSample, **changes) -> Tracks3dLabels:
    world = tracks_in_first_camera(sample.tracks3d, sample.camera_to_world).astype(np.float32)
    queries = np.column_stack([np.zeros(N), sample.tracks2d[0]]).astype(np.float32)
    known = {"queries": queries, "tracks_px": sample.tracks2d, "visibility": sample.visibility, "tracks_world": world, "scale": "metric"}
    return Tracks3dLabels(**{**known, **changes})


def sliding() -> ClipSample:
    """Tracks that all move alike."""
    tracks2d = true_sample().tracks2d[:1] + np.arange(T)[:, None, None] * MOTION
    return true_sample(tracks2d=tracks2d.astype(np.float32), visibility=np.ones((T, N), bool))


def flow(*, off=(0.0, 0.0), valid=None) -> FlowLabels:
    """Flow of `sliding` from each frame to the next and, of the last frame, to the first; off by so many pixels."""
    steps = np.where(np.arange(T) < T - 1, 1, 1 - T)
    values = np.broadcast_to((steps[:, None] * MOTION + np.float32(off))[:, None, None], (T, H, W, 2))
    valid = np.ones((T, H, W), bool) if valid is None else np.broadcast_to(valid, (T, H, W)).copy()
    return FlowLabels(
        flow=np.where(valid[..., None], values, 0).astype(np.float32),
        valid=valid,
        from_frame=np.arange(T, dtype=np.int32),
        to_frame=((np.arange(T) + 1) % T).astype(np.int32),
    )


def test_true_cameras_in_another_world_have_no_error_and_a_turned_one_has_its_angle():
    sample = true_sample()
    found = scores(cameras(sample), sample)
    assert found.values["ate"] == pytest.approx(0, abs=1e-5)
    assert found.values["rpe_trans"] == pytest.approx(0, abs=1e-5)
    assert found.values["rpe_rot_deg"] == pytest.approx(0, abs=1e-2)
    assert (found.values["rra_30"], found.values["rta_30"], found.values["labelled_poses"]) == (1, 1, 1)
    turned = cameras(sample)
    turned.camera_to_world[3, :3, :3] @= Rotation.from_rotvec([0, 0, math.radians(6)]).as_matrix().astype(np.float32)
    assert scores(turned, sample).values["rpe_rot_deg"] == pytest.approx(6 / math.sqrt(3), abs=0.02)  # the last of three steps
    assert measure_labels(turned, true_sample(camera_to_world=None), EvaluationSettings()) == "no true poses"


def test_a_pose_that_was_not_found_does_not_count_but_is_said():
    sample = true_sample()
    labels = cameras(sample, valid=(True, True, True, False))
    labels.camera_to_world[3, :3, 3] += 100
    found = scores(labels, sample)
    assert found.values["ate"] == pytest.approx(0, abs=1e-5)
    assert found.values["labelled_poses"] == 0.75


def test_true_tracks_have_no_error_in_any_unit_and_one_aside_misses_what_is_nearer():
    sample = true_sample(visibility=np.ones((T, N), bool))
    right = tracks(sample)
    small = scores(tracks(sample, tracks_world=right.tracks_world * np.float32(0.2), scale="relative"), sample)
    for found in (scores(right, sample), small):
        assert found.values["world_epe_m"] == pytest.approx(0, abs=1e-5)
        for name in ("world_apd", "bubble_apd_world_visible", "bubble_apd_world_occluded", "labelled_tracks"):
            assert found.values[name] == 1, name
    assert found.undefined["bubble_apd_camera_visible"] == "positions are known in the first camera alone"
    world = right.tracks_world.copy()
    aside = np.cross(world[:, :5], [0, 1.0, 0])
    world[:, :5] += (0.1 * aside / np.linalg.norm(aside, axis=-1, keepdims=True)).astype(np.float32)
    off = scores(tracks(sample, tracks_world=world), sample)
    assert off.values["bubble_apd_world_visible"] == pytest.approx((15 + 5 * 3 / 5) / 20)
    assert off.values["world_epe_m"] == pytest.approx(0.1 * 5 / 20, rel=0.02)


def test_positions_that_are_not_known_are_left_out_and_counted():
    sample = true_sample(visibility=np.ones((T, N), bool))
    world = tracks(sample).tracks_world.copy()
    world[:, :2] = np.nan
    world[1, 2] = np.nan
    found = scores(tracks(sample, tracks_world=world), sample)
    assert found.values["labelled_tracks"] == 1 - (2 * T + 1) / (T * N)
    assert (found.values["bubble_apd_world_visible"], found.values["world_apd"]) == (1, 1)


def test_tracks_of_other_points_are_refused_with_the_policy_that_helps():
    sample = true_sample()
    queries = tracks(sample).queries + np.float32(0.25)
    with pytest.raises(ConfigError, match="none of its 20 queries is a true point .* --query-policy truth"):
        scores(tracks(sample, queries=queries), sample)


def test_true_flow_has_no_error_at_the_tracks_and_an_offset_has_its_length():
    right = scores(flow(), sliding())
    assert right.values["flow_epe_2d_px"] == pytest.approx(0, abs=1e-4)
    assert (right.values["flow_accuracy_1px"], right.values["flow_outliers_2d"]) == (1, 0)
    off = scores(flow(off=(3, 4)), sliding())
    assert off.values["flow_epe_2d_px"] == pytest.approx(5, abs=1e-4)
    assert (off.values["flow_accuracy_1px"], off.values["flow_accuracy_3px"], off.values["flow_outliers_2d"]) == (0, 0, 1)
    assert scores(flow(off=(0, 2)), sliding()).values["flow_accuracy_3px"] == 1
    assert right.undefined["flow_epe_3d_m"] == "not asked for"


def test_pixels_without_flow_do_not_count_but_are_said():
    left = np.arange(W) < 20
    sample = sliding()
    found = scores(flow(valid=left), sample)
    known = np.ceil(sample.tracks2d[..., 0]) < 20
    inside = (np.floor(sample.tracks2d) >= 0).all(-1) & (np.ceil(sample.tracks2d[..., 1]) < H)
    assert found.values["flow_epe_2d_px"] == pytest.approx(0, abs=1e-4)
    assert found.values["labelled_flow"] == pytest.approx((known & inside).mean())
    assert found.flow_points == (known & inside).sum()


def test_the_clips_own_flow_is_the_truth_where_it_has_the_pair():
    truth, sample = flow(off=(1, 0)), sliding()
    own = {"flow": truth.flow, "flow_valid": truth.valid, "flow_from_frame": truth.from_frame, "flow_to_frame": truth.to_frame}
    sample = replace(sample, **own)  # whose tracks say that it is off by a pixel
    found = scores(flow(off=(1, 2)), sample)
    assert found.values["flow_epe_2d_px"] == pytest.approx(2, abs=1e-4)
    assert found.flow_points == T * H * W
    assert measure_labels(flow(), true_sample(tracks2d=None, tracks3d=None, visibility=None, track_valid=None), EvaluationSettings()) == (
        "no true flow and no true tracks"
    )


def test_flow_between_pixels_is_mixed_of_valid_ones_alone():
    rows, columns = np.mgrid[:4, :5]
    ramp = np.stack([0.1 * columns + 0.2 * rows, -1.0 * rows], axis=-1)
    valid = np.ones((4, 5), bool)
    valid[3, 3] = False
    pixels = np.array([[1.25, 2.5], [4.0, 3.0], [4.25, 1.0], [2.5, 2.5], [2.0, 3.0], [-0.5, 0.0]])
    mixed, known = flow_at(ramp, valid, pixels)
    np.testing.assert_allclose(mixed[known], [[0.625, -2.5], [1.0, -3.0], [0.8, -3.0]])
    assert known.tolist() == [True, True, False, False, True, False]
