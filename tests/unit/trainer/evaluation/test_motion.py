"""Scene flow and tracks within fixed distances: right in another unit, and wrong by what was put in."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.errors import ConfigError
from tests.unit.trainer.evaluation.worlds import H, N, T, W, perfect, true_sample, with_tracks
from trainer.evaluation import EvaluationSettings, choose_tracks, measure_clip, summarise

LAST = T - 1
SETTINGS = EvaluationSettings(protocols=("fixed_bubbles", "scene_flow"), flow_frame=LAST)
BUBBLES = [f"bubble_apd_{place}_{fit}" for place in ("camera", "world") for fit in ("visible", "occluded")]


def scores(prediction, sample, settings=SETTINGS):
    return measure_clip(prediction, sample, choose_tracks(sample, (H, W), at_most=None), settings)


def test_a_right_prediction_in_another_world_and_unit_has_no_error():
    sample = true_sample()
    found = scores(perfect(sample, scale=0.37, turn=Rotation.from_rotvec([0.3, -1.1, 0.4])), sample)
    for name in BUBBLES:
        assert found.values[name] == 1, name
    assert found.values["flow_epe_3d_m"] == pytest.approx(0, abs=1e-4)
    assert found.values["flow_epe_2d_px"] == pytest.approx(0, abs=1e-3)
    assert (found.values["flow_accuracy_strict_3d"], found.values["flow_outliers_3d"], found.values["flow_outliers_2d"]) == (1, 0, 0)
    assert found.flow_points == N


def test_points_that_move_too_far_count_by_their_share_in_space_and_in_pixels():
    sample = true_sample()
    camera = perfect(sample).tracks.camera.copy()
    camera[LAST, :4, 0] += 0.2
    found = scores(with_tracks(perfect(sample), camera=camera), sample)
    assert found.values["flow_epe_3d_m"] == pytest.approx(0.2 * 4 / N, abs=1e-4)
    assert found.values["flow_accuracy_strict_3d"] == found.values["flow_accuracy_relaxed_3d"] == (N - 4) / N
    assert found.values["flow_outliers_3d"] == 4 / N
    assert found.values["flow_epe_2d_px"] == pytest.approx((40 * 0.2 / camera[LAST, :4, 2]).sum() / N, abs=1e-3)


def test_a_track_that_is_off_to_the_side_misses_the_distances_below_its_error():
    sample = true_sample(visibility=np.ones((T, N), bool))
    camera = perfect(sample).tracks.camera.copy()
    aside = np.cross(camera[:, :5], [0, 1.0, 0])  # across the ray, so that the median distance stays
    camera[:, :5] += 0.1 * aside / np.linalg.norm(aside, axis=-1, keepdims=True)
    found = scores(with_tracks(perfect(sample), camera=camera.astype(np.float32)), sample)
    for name in BUBBLES:
        assert found.values[name] == pytest.approx((15 + 5 * 3 / 5) / 20), name  # 10 cm lie within 16, 64 and 256 cm


def test_what_cannot_be_measured_says_why():
    sample = true_sample()
    short = scores(perfect(sample), sample, EvaluationSettings(protocols=("scene_flow",), flow_frame=T))
    assert short.undefined["flow_epe_3d_m"] == "the clip has 4 frames, flow is measured to frame 4"
    behind = perfect(sample).tracks.camera.copy()
    behind[LAST, 0, 2] = -1
    lost = scores(with_tracks(perfect(sample), camera=behind), sample)
    assert lost.undefined["flow_epe_2d_px"] == "no camera sees the predicted points"
    assert lost.values["flow_epe_3d_m"] > 0
    unposed = scores(perfect(sample), true_sample(camera_to_world=None))
    assert unposed.undefined["bubble_apd_world_visible"] == "not every frame has a true pose"
    assert unposed.values["bubble_apd_camera_visible"] == 1
    with pytest.raises(ConfigError, match="flow_frame is 0"):
        EvaluationSettings(flow_frame=0)


def test_means_of_flow_weigh_points():
    sample = true_sample()
    whole = scores(perfect(sample), sample)
    camera = perfect(sample).tracks.camera.copy()
    camera[LAST, :4, 0] += 0.2
    valid = np.ones((T, N), bool)
    valid[LAST, N // 2 :] = False
    wrong = scores(with_tracks(perfect(sample), camera=camera), true_sample(track_valid=valid))
    assert wrong.flow_points == N // 2
    assert summarise([whole, wrong])["flow_epe_3d_m"].value == pytest.approx(0.2 * 4 / (N + N // 2), abs=1e-4)
