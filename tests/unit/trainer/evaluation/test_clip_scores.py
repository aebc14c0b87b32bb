"""What is said of predictions that are right in another world and unit, and wrong in a known way."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.errors import ConfigError
from tests.unit.trainer.evaluation.worlds import H, N, T, W, perfect, true_sample, with_tracks
from trainer.evaluation import MEASURES, EvaluationSettings, choose_tracks, lacks_truth, measure_clip, summarise
from trainer.evaluation.clip_scores import VALUES

SETTINGS = EvaluationSettings()


def scores(prediction, sample, settings=SETTINGS):
    return measure_clip(prediction, sample, choose_tracks(sample, (H, W), at_most=settings.num_tracks), settings)


def test_a_right_prediction_in_another_world_and_unit_is_right():
    sample = true_sample()
    found = scores(perfect(sample, scale=0.37, turn=Rotation.from_rotvec([0.3, -1.1, 0.4])), sample)
    for name in ("ate", "rpe_trans", "accuracy_mean", "completion_mean", "world_epe_m", "abs_rel_scale"):
        assert found.values[name] == pytest.approx(0, abs=1e-4), name
    assert found.values["rpe_rot_deg"] == pytest.approx(0, abs=1e-2)
    for name in ("rra_30", "rta_30", "delta_1_scale", "average_jaccard_3d", "average_pts_within_3d", "occlusion_accuracy", "world_apd"):
        assert found.values[name] == 1, name
    assert found.values["normal_consistency_mean"] == pytest.approx(1, abs=1e-3)
    assert set(found.undefined.values()) == {"not asked for"}  # the protocols of WorldTrack, Track4World and single images
    others = ("world_track_", "world_points_", "bubble_", "flow_", "labelled_", "abs_rel_median", "delta_1_median")
    assert not {name for name in found.undefined if not name.startswith(others)}
    assert (found.num_tracks, found.valid_pixels) == (N, T * H * W)


def test_errors_count_where_they_are():
    sample = true_sample()
    right = perfect(sample)
    seen = right.tracks.visibility_score.copy()
    seen[1] = 1 - seen[1]  # one of four frames is wrong about who is seen
    found = scores(with_tracks(right, visibility_score=seen), sample)
    assert found.values["occlusion_accuracy"] == pytest.approx(0.75)
    assert found.values["average_pts_within_3d"] == 1

    far = right.tracks.camera.copy()
    far[:, : N // 2] *= 1.5  # half of the tracks, by half of their depth; the other half keeps the median scale from being fitted to it
    found = scores(with_tracks(right, camera=far), sample)
    assert found.values["average_pts_within_3d"] < 0.6
    assert found.values["ate"] == pytest.approx(0, abs=1e-5)

    poses = right.camera_to_world.copy()
    poses[3, :3, :3] = poses[3, :3, :3] @ Rotation.from_rotvec([0, 0, math.radians(6)]).as_matrix()
    found = scores(replace(right, camera_to_world=poses.astype(np.float32)), sample)
    assert found.values["rpe_rot_deg"] == pytest.approx(6 / math.sqrt(3), abs=0.02)  # the last of three steps is wrong
    assert found.values["abs_rel_scale"] == pytest.approx(0, abs=1e-5)

    local = right.local_points.copy()
    local[0] *= 1.3  # a quarter of the pixels: the scale by least absolute errors leaves the others alone
    found = scores(replace(right, local_points=local), sample)
    assert found.values["abs_rel_scale"] == pytest.approx(0.3 / 4, abs=1e-3)
    assert found.values["delta_1_scale"] == pytest.approx(0.75)


def test_depth_that_lacks_truth_does_not_count():
    sample = true_sample()
    depth = sample.depth.copy()
    depth[0] = 0
    found = scores(replace(perfect(sample), local_points=perfect(sample).local_points), replace(sample, depth=depth))
    assert found.valid_pixels == 3 * H * W
    assert found.values["abs_rel_scale"] == pytest.approx(0, abs=1e-4)
    ranged = scores(perfect(sample), sample, EvaluationSettings(depth_range="sintel"))
    assert ranged.valid_pixels == T * H * W


def test_what_is_not_known_is_undefined_and_says_why():
    sample = true_sample(depth=None, tracks3d=None)
    found = scores(perfect(true_sample()), sample)
    assert found.undefined["abs_rel_scale"] == "no true depth"
    assert found.undefined["accuracy_mean"] == "no true points"
    assert found.undefined["average_jaccard_3d"] == "no true tracks to ask for"
    assert math.isfinite(found.values["ate"])
    assert not lacks_truth(sample)
    assert lacks_truth(true_sample(depth=None, tracks3d=None, camera_to_world=None))
    untracked = scores(replace(perfect(true_sample()), tracks=None), true_sample())
    assert untracked.undefined["world_apd"] == "the model tracks nothing"


def test_frames_without_a_pose_do_not_count():
    valid = np.array([True, True, False, True])
    sample = true_sample(pose_valid=valid)
    prediction = perfect(true_sample())
    poses = prediction.camera_to_world.copy()
    poses[2, :3, 3] += 10
    found = scores(replace(prediction, camera_to_world=poses), sample)
    assert found.values["ate"] == pytest.approx(0, abs=1e-4)
    assert found.undefined["world_apd"] == "not every frame has a true pose"
    assert len(found.pairs.rotation_deg) == 3


def test_tracks_are_those_seen_in_the_first_frame_in_the_models_pixels():
    sample = true_sample()
    sample.visibility[0, :5] = False
    sample.track_valid[0, 5] = False
    chosen = choose_tracks(sample, (2 * H, W), at_most=100)
    assert chosen.index.tolist() == list(range(6, N))
    x, y = sample.tracks2d[0, 6]
    np.testing.assert_allclose(chosen.queries[0], [x, 2 * y + 0.5], rtol=1e-5)
    thinned = choose_tracks(sample, (H, W), at_most=3)
    assert thinned.index.tolist() == [6, 12, 19]  # of 14: the first, number 6 or 7, the last
    sample.visibility[0] = False
    assert choose_tracks(sample, (H, W), at_most=3) is None


def test_every_measure_of_the_tables_is_measured_and_the_other_way_round():
    assert sorted(measure.name for measure in MEASURES) == sorted(VALUES)


def test_means_over_clips_weigh_pixels_pool_pairs_and_leave_out_what_is_undefined():
    sample = true_sample()
    right = scores(perfect(sample), sample)
    other = replace(right, valid_pixels=right.valid_pixels * 3, values={**right.values, "abs_rel_scale": 0.4, "ate": 1.0})
    none = replace(right, valid_pixels=0, pairs=None, values=dict.fromkeys(right.values, math.nan))
    means = summarise([right, other, none])
    assert means["abs_rel_scale"].value == pytest.approx(0.3, abs=1e-4)  # (0 + 3 x 0.4) / 4
    assert means["ate"].value == pytest.approx(0.5, abs=1e-4)
    assert (means["ate"].num_defined, means["ate"].num_dropped) == (2, 1)
    lost = replace(right.pairs, rotation_deg=np.full(2, 90.0), translation_deg=np.zeros(2), static=np.zeros(2, bool))
    pooled = summarise([right, replace(right, pairs=lost, values={**right.values, "rra_30": 0.0})])
    assert pooled["rra_30"].value == pytest.approx(6 / 8)  # six pairs of four frames are right, two are wrong


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="pose_frames is 1"):
        EvaluationSettings(pose_frames=1)
    with pytest.raises(ConfigError, match="protocols are pose,"):
        EvaluationSettings(protocols=("pose",))
    with pytest.raises(ConfigError, match="no published depth protocol"):
        EvaluationSettings(depth_range="mars")
