from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.scene_flow import (
    MEASURES_2D,
    MEASURES_3D,
    SceneFlow,
    pool_scene_flow,
    scene_flow_metrics,
    valid_scene_flow,
)

GOLDEN = Path(__file__).parents[3] / "golden" / "seeds" / "t4w_flow_metrics.npz"
GOLDEN_NAMES = {
    "EPE3D": "epe_3d_m",
    "AccS": "accuracy_strict_3d",
    "AccR": "accuracy_relaxed_3d",
    "Outlier": "outliers_3d",
    "EPE2D": "epe_2d_px",
    "AccS2D": "accuracy_1px",
    "AccR2D": "accuracy_3px",
    "Outlier2D": "outliers_2d",
    "AbsRel": "points_abs_rel",
    "delta125": "points_delta1",
}


def test_the_golden_of_the_reference_is_met() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        arrays = {key: golden[key] for key in golden.files}
    prediction = SceneFlow(points=arrays["pred_points"][0], endpoints=arrays["pred_endpoints"][0], target_px=arrays["pred_pix"][0])
    true_points = arrays["gt_points"][0]
    truth = SceneFlow(points=true_points, endpoints=true_points + arrays["gt_flow3d"][0], target_px=arrays["gt_pix"][0])
    measured = scene_flow_metrics(prediction, truth, valid=arrays["valid"][0], fit_grid=None)
    assert measured.alignment is not None
    assert measured.alignment.scale == pytest.approx(float(arrays["scale"]), rel=1e-6)
    np.testing.assert_allclose(measured.alignment.shift, arrays["shift"], rtol=1e-6)
    assert {key.removeprefix("m_") for key in arrays if key.startswith("m_")} == set(GOLDEN_NAMES)
    for theirs, ours in GOLDEN_NAMES.items():
        assert getattr(measured, ours) == pytest.approx(float(arrays[f"m_{theirs}"]), rel=1e-6), theirs
    assert measured.undefined == {}


def make_flow(num_columns: int = 8, flow: tuple[float, float, float] = (1, 0, 0)) -> SceneFlow:
    rng = np.random.default_rng(7)
    points = rng.uniform([-1, -1, 2], [1, 1, 6], (6, num_columns, 3))
    return SceneFlow(points=points, endpoints=points + flow, target_px=rng.uniform(20, 60, (6, num_columns, 2)))


def all_valid(flow: SceneFlow) -> np.ndarray:
    return np.ones(flow.points.shape[:2], bool)


def test_a_prediction_of_another_scale_and_shift_is_perfect() -> None:
    truth = make_flow()
    moved = replace(truth, points=0.2 * truth.points + [5, 0, 1], endpoints=0.2 * truth.endpoints + [5, 0, 1])
    measured = scene_flow_metrics(moved, truth, valid=all_valid(truth), fit_grid=6)
    assert measured.epe_3d_m == pytest.approx(0, abs=1e-9)
    assert (measured.accuracy_strict_3d, measured.outliers_3d, measured.points_delta1, measured.accuracy_1px) == (1, 0, 1, 1)
    assert measured.alignment is not None
    assert measured.alignment.scale == pytest.approx(5)


def test_thresholds_worked_by_hand() -> None:
    # the true flow is 1 m long; a quarter of the pixels each is off by 0, 0.04, 0.09 and 0.5 m along it. Where by 0.5 m, by 4 px in the
    # image, elsewhere by 0.3 px. Most points are exact (all of the first frame are), so the fit moves nothing
    truth = make_flow()
    errors = np.repeat([0, 0.04, 0.09, 0.5], 12).reshape(6, 8)
    target_px = truth.target_px + np.where(errors == 0.5, 4, 0.3)[..., None] * [1, 0]
    prediction = SceneFlow(points=truth.points, endpoints=truth.endpoints + errors[..., None] * [1, 0, 0], target_px=target_px)
    measured = scene_flow_metrics(prediction, truth, valid=all_valid(truth), fit_grid=None)
    assert measured.alignment is not None
    assert measured.alignment.scale == pytest.approx(1)
    assert measured.epe_3d_m == pytest.approx((0 + 0.04 + 0.09 + 0.5) / 4)
    assert (measured.accuracy_strict_3d, measured.accuracy_relaxed_3d, measured.outliers_3d) == (0.5, 0.75, 0.25)
    assert measured.epe_2d_px == pytest.approx((3 * 0.3 + 4) / 4)
    assert (measured.accuracy_1px, measured.accuracy_3px, measured.outliers_2d) == (0.75, 0.75, 0.25)


def test_a_point_counts_as_right_within_a_quarter_of_the_shorter_norm() -> None:
    truth = make_flow()
    points = truth.points.copy()
    points[0, 0] *= 0.78  # off by 0.22 of the true norm: less than a quarter of that, more than a quarter of its own
    points[0, 1] *= 0.81  # 0.19 < 0.2025
    measured = scene_flow_metrics(replace(truth, points=points), truth, valid=all_valid(truth), fit_grid=None)
    assert measured.points_delta1 == pytest.approx(95 / 96)
    assert measured.points_abs_rel == pytest.approx((0.22 + 0.19) / 96, rel=1e-5)


def test_a_pixel_that_is_not_valid_counts_nowhere() -> None:
    truth = make_flow()
    valid = all_valid(truth)
    valid[2, 3] = False
    points, endpoints = truth.points.copy(), truth.endpoints.copy()
    points[2, 3], endpoints[2, 3] = np.nan, 1e9
    measured = scene_flow_metrics(replace(truth, points=points, endpoints=endpoints), truth, valid=valid, fit_grid=6)
    assert measured.epe_3d_m == 0
    assert measured.num_pixels == 47


def test_the_coarse_fit_finds_what_all_pixels_find() -> None:
    truth = make_flow(40)
    rng = np.random.default_rng(8)
    noisy = replace(truth, points=0.5 * truth.points, endpoints=0.5 * truth.endpoints + rng.normal(0, 0.01, truth.points.shape))
    coarse = scene_flow_metrics(noisy, truth, valid=all_valid(truth), fit_grid=6)
    fine = scene_flow_metrics(noisy, truth, valid=all_valid(truth), fit_grid=None)
    assert coarse.epe_3d_m == pytest.approx(fine.epe_3d_m, rel=0.1)
    assert coarse.alignment is not fine.alignment


def test_valid_truth_is_finite_and_within_the_range_of_depth() -> None:
    truth = make_flow()
    points, target_px = truth.points.copy(), np.array(truth.target_px)
    points[0, 0, 2], points[0, 1, 2], points[0, 2, 2] = 0, 80, np.nan
    target_px[0, 3, 0] = np.inf
    valid = valid_scene_flow(replace(truth, points=points, target_px=target_px))
    np.testing.assert_array_equal(np.flatnonzero(~valid), [0, 1, 2, 3])
    assert valid_scene_flow(truth, max_depth_m=4).sum() == (truth.points[..., 2] < 4).sum()


def test_a_pool_weighs_pairs_by_their_pixels_and_skips_what_is_undefined() -> None:
    truth = make_flow()
    worse = scene_flow_metrics(replace(truth, endpoints=truth.endpoints + [0, 0.4, 0]), truth, valid=all_valid(truth), fit_grid=None)
    valid = np.zeros((6, 8), bool)
    valid[:2] = True
    perfect = scene_flow_metrics(replace(truth, target_px=None), truth, valid=valid, fit_grid=6)
    pool = pool_scene_flow([worse, perfect])
    assert pool.num_pixels == 48 + 16
    assert pool.epe_3d_m == pytest.approx(worse.epe_3d_m * 48 / 64)
    assert pool.epe_2d_px == pytest.approx(worse.epe_2d_px)
    nothing = pool_scene_flow([])
    assert np.isnan(nothing.epe_3d_m)
    assert nothing.undefined["epe_3d_m"] == "there are no pairs"


def test_undefined_values_have_their_reason() -> None:
    truth = make_flow()
    nowhere = scene_flow_metrics(truth, truth, valid=np.zeros((6, 8), bool))
    assert set(nowhere.undefined) == {*MEASURES_3D, *MEASURES_2D}
    assert nowhere.undefined["epe_2d_px"] == "no pixel is valid"
    assert nowhere.undefined["epe_3d_m"] == "no alignment: there are no points to align"
    flat = replace(truth, points=np.ones((6, 8, 3)), endpoints=np.ones((6, 8, 3)), target_px=None)
    collapsed = scene_flow_metrics(flat, truth, valid=all_valid(truth))
    assert np.isnan(collapsed.epe_3d_m)
    assert "coincide" in collapsed.undefined["points_delta1"]
    assert collapsed.undefined["outliers_2d"] == "no target pixels given"


def test_bad_input_is_refused() -> None:
    truth = make_flow()
    with pytest.raises(DataError, match=r"expected \[H, W, 3\]"):
        scene_flow_metrics(make_flow(5), truth, valid=all_valid(truth))
    with pytest.raises(DataError, match="endpoints of a scene flow"):
        replace(truth, endpoints=truth.endpoints[:-1])
    broken = truth.points.copy()
    broken[4, 2, 1] = np.nan
    with pytest.raises(DataError, match="predicted points at row 4, column 2"):
        scene_flow_metrics(replace(truth, points=broken), truth, valid=all_valid(truth))
    with pytest.raises(ConfigError, match="fit_grid is 0"):
        scene_flow_metrics(truth, truth, valid=all_valid(truth), fit_grid=0)
