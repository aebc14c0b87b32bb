from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.metrics.tapvid3d import Tapvid3dConfig, tapvid3d_metrics
from pipeline.metrics.track4world import Track4WorldConfig, original_focal, track4world_metrics, track4world_selection
from pipeline.metrics.tracks3d import Tracks3d

GOLDEN = Path(__file__).parents[3] / "golden" / "seeds" / "t4w_track3d_metrics.npz"


@pytest.mark.parametrize(("prefix", "thresholds"), [("fixed", "metres"), ("pinhole", "pixels")])
def test_the_goldens_of_the_reference_are_met(prefix: str, thresholds: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        truth = Tracks3d.of_tracks(golden["gt"][0], ~golden["gt_occluded"][0])
        prediction = Tracks3d.of_tracks(golden["pred"][0], ~golden["pred_occluded"][0])
        focal = original_focal(golden["fx_fy_cx_cy"])
        expected = {key.removeprefix(f"{prefix}_"): golden[key] for key in golden.files if key.startswith(f"{prefix}_")}
    measured = tapvid3d_metrics(truth, prediction, focal_px=focal, config=Tapvid3dConfig(thresholds=thresholds))
    found = {
        "scale": measured.scale,
        "OA": measured.occlusion_accuracy,
        "APD": measured.average_pts_within_thresh,
        "APD_with_occ": measured.average_pts_within_thresh_with_occluded,
        "AJ": measured.average_jaccard,
        "pts_within": list(measured.pts_within.values()),
        "jaccard": list(measured.jaccard.values()),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-12, err_msg=name)


def make_truth(num_frames: int = 5, num_tracks: int = 20) -> Tracks3d:
    rng = np.random.default_rng(3)
    positions = rng.uniform([-2, -1, 2], [2, 1, 7], (num_frames, num_tracks, 3))
    visible = np.ones((num_frames, num_tracks), bool)
    visible[2:, : num_tracks // 2] = False
    return Tracks3d(positions=positions, visible=visible)


def test_a_prediction_of_another_scale_and_shift_is_perfect() -> None:
    truth = make_truth()
    moved = replace(truth, positions=0.3 * truth.positions + [4, 0, -1])
    measured = track4world_metrics(truth, moved, focal_px=1)
    assert measured.tracks.average_jaccard == 1
    assert measured.alignment.scale == pytest.approx(1 / 0.3)
    assert measured.tracks.scale == pytest.approx(1)
    assert (measured.fitted_on, measured.num_fitted) == ("visible", truth.visible.sum())
    plain = tapvid3d_metrics(truth, moved, focal_px=1, config=Tapvid3dConfig(thresholds="metres"))
    assert plain.average_jaccard < 0.5


def test_the_fit_sees_visible_points_unless_the_public_evaluation_is_asked_for() -> None:
    truth = make_truth()
    positions = truth.positions.copy()
    positions[~truth.visible] += [3, 0, 0]  # hidden points are predicted 3 m away: right by the visible ones, wrong by the hidden ones
    prediction = replace(truth, positions=positions)
    seen = track4world_metrics(truth, prediction, focal_px=1)
    hidden = track4world_metrics(truth, prediction, focal_px=1, config=Track4WorldConfig(fit_on="occluded"))
    np.testing.assert_allclose(seen.alignment.shift, [0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(hidden.alignment.shift, [-3, 0, 0], atol=1e-9)
    assert (hidden.fitted_on, hidden.num_fitted) == ("occluded", (~truth.visible).sum())
    assert seen.tracks.average_pts_within_thresh == 1
    assert hidden.tracks.average_pts_within_thresh < 0.5


def test_with_nothing_hidden_the_public_evaluation_fits_every_fourth_point() -> None:
    truth = replace(make_truth(), visible=np.ones((5, 20), bool))
    measured = track4world_metrics(truth, truth, focal_px=1, config=Track4WorldConfig(fit_on="occluded"))
    assert (measured.fitted_on, measured.num_fitted) == ("all", 25)


def test_many_points_are_thinned_evenly() -> None:
    truth = make_truth()
    measured = track4world_metrics(truth, truth, focal_px=1, config=Track4WorldConfig(max_fit_points=10))
    assert measured.num_fitted == 10
    assert measured.tracks.average_jaccard == 1


def test_a_prediction_collapsed_to_a_point_is_not_saved_by_an_alignment() -> None:
    truth = make_truth()
    collapsed = replace(truth, positions=np.ones_like(truth.positions))
    measured = track4world_metrics(truth, collapsed, focal_px=1)
    assert measured.alignment.undefined is not None
    assert "coincide" in measured.tracks.undefined["alignment"]
    assert measured.tracks.average_pts_within_thresh < 0.3


def test_tracks_are_selected_by_their_first_frame_and_a_second_sight() -> None:
    visible = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [0, 0, 1, 1]], bool)
    np.testing.assert_array_equal(track4world_selection(visible), [False, True, False, True])


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="'hidden'"):
        Track4WorldConfig(fit_on="hidden")
    with pytest.raises(ConfigError, match="'feet'"):
        Track4WorldConfig(thresholds="feet")
    with pytest.raises(ConfigError, match="max_fit_points is 1"):
        Track4WorldConfig(max_fit_points=1)
