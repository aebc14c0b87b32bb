from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.depth import (
    VALUES,
    DepthMetrics,
    DepthProtocol,
    depth_metrics,
    mean_depth_metric,
    published_protocol,
    resize_to_truth,
)

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "depth.npz"
ALIGNMENT_OF = {
    "metric": "metric",
    "median": "median",
    "scale": "scale_l1",
    "scale_shift": "scale_shift_l1",
    "lstsq": "scale_shift_l2",
}
CASES = [
    "video_affine_noise_max70_clip70",
    "video_affine_noise_max70",
    "video_affine_noise_nomax",
    "video_gt_float64",
    "single_image_2d",
    "perfect",
    "perfect_scale3",
    "outliers_15pct",
    "far_scale_needs_more_than_0p1",
    "tiny_scale",
    "some_negative_pred",
    "all_gt_invalid",
    "one_valid_pixel",
    "median_is_lower_of_two",
    "custom_mask",
]


def measure_golden(golden: np.lib.npyio.NpzFile, case: str, alignment: str) -> DepthMetrics:
    limits = [
        float(golden[f"{case}/in/{name}"]) if f"{case}/in/{name}" in golden.files else np.nan for name in ("max_depth", "post_clip_max")
    ]
    max_depth_m, clip_max_m = (None if np.isnan(limit) else limit for limit in limits)
    protocol = DepthProtocol(alignment=ALIGNMENT_OF[alignment], max_depth_m=max_depth_m, clip_max_m=clip_max_m)
    counted = golden[f"{case}/in/custom_mask"] if f"{case}/in/custom_mask" in golden.files else None
    return depth_metrics(golden[f"{case}/in/pred"], golden[f"{case}/in/gt"], protocol=protocol, counted=counted)


@pytest.mark.parametrize("case", CASES)
def test_golden_cases_are_met_under_every_alignment(case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        alignments = [name for name in ALIGNMENT_OF if f"{case}/out/{name}/abs_rel" in golden.files]
        assert alignments
        for alignment in alignments:
            measured = measure_golden(golden, case, alignment)
            assert measured.valid_pixels == golden[f"{case}/out/{alignment}/valid_pixels"]
            for name in VALUES:
                expected = float(golden[f"{case}/out/{alignment}/{name}"])
                if case == "all_gt_invalid":  # the reference says 0 and weight 0, ours NaN and weight 0
                    assert expected == 0
                    assert np.isnan(getattr(measured, name))
                    assert "no counted pixel" in measured.undefined[name]
                else:
                    assert getattr(measured, name) == pytest.approx(expected, rel=1e-5, abs=1e-5), (alignment, name)


def test_all_cases_of_the_golden_file_are_covered() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        assert set(golden["cases"]) == {*CASES, "aggregation"}


def test_values_worked_by_hand() -> None:
    # |p - g| = 1, 0, 2, 3 over g = 2, 4, 4, 4; ratios 1.5, 1, 2, 4; the last pixel is invalid
    true = np.array([[2.0, 4, 4, 4, 0]])
    measured = depth_metrics(np.array([[3.0, 4, 2, 1, 9]]), true, protocol=DepthProtocol())
    assert measured.valid_pixels == 4
    assert measured.abs_rel == pytest.approx((1 / 2 + 0 + 2 / 4 + 3 / 4) / 4)
    assert measured.sq_rel == pytest.approx((1 / 2 + 0 + 4 / 4 + 9 / 4) / 4)
    assert measured.rmse == pytest.approx(np.sqrt((1 + 0 + 4 + 9) / 4))
    assert measured.log_rmse == pytest.approx(np.sqrt((np.log(1.5) ** 2 + np.log(2) ** 2 + np.log(4) ** 2) / 4))
    assert (measured.delta_1, measured.delta_2, measured.delta_3) == (1 / 4, 2 / 4, 2 / 4)


def test_a_ratio_of_exactly_the_threshold_is_outside() -> None:
    assert depth_metrics(np.array([[5.0]]), np.array([[4.0]]), protocol=DepthProtocol()).delta_1 == 0


def test_truth_from_the_maximum_on_does_not_count_and_the_prediction_is_clipped() -> None:
    protocol = published_protocol("sintel", "metric")
    measured = depth_metrics(np.array([[35.0, 100, 1]]), np.array([[35.0, 50, 70]]), protocol=protocol)
    assert measured.valid_pixels == 2
    assert measured.abs_rel == pytest.approx((0 + 20 / 50) / 2)  # 100 is lowered to 70


def test_the_alignment_is_fitted_on_all_valid_pixels_and_measured_on_the_counted() -> None:
    true = np.array([[2.0, 2, 2, 8]])
    measured = depth_metrics(true[:, ::1] / 2 + [[0, 0, 0, 1]], true, protocol=DepthProtocol(alignment="median"), counted=true > 5)
    assert measured.valid_pixels == 1
    assert measured.abs_rel == pytest.approx(2 / 8)  # 5 doubles to 10


def test_every_value_is_nan_with_a_reason_where_it_is_undefined() -> None:
    true = np.ones((2, 2))
    without_truth = depth_metrics(true, 0 * true, protocol=DepthProtocol())
    without_scale = depth_metrics(0 * true, true, protocol=DepthProtocol(alignment="median"))
    with_nan = depth_metrics(np.where(np.eye(2) > 0, np.nan, 1), true, protocol=DepthProtocol())
    for measured, reason in ((without_truth, "no counted pixel"), (without_scale, "no solution"), (with_nan, "predicted depth")):
        assert set(measured.undefined) == set(VALUES)
        assert reason in measured.undefined["abs_rel"]
        assert np.isnan([getattr(measured, name) for name in VALUES]).all()
        assert measured.alignment is None


def test_sequences_are_weighted_by_their_pixels_and_empty_ones_dropped() -> None:
    small = depth_metrics(np.full((1, 1), 1.5), np.ones((1, 1)), protocol=DepthProtocol())
    large = depth_metrics(np.ones((3, 1)), np.ones((3, 1)), protocol=DepthProtocol())
    empty = depth_metrics(np.ones((3, 1)), np.zeros((3, 1)), protocol=DepthProtocol())
    mean = mean_depth_metric([small, large, empty], "abs_rel")
    assert (mean.value, mean.num_defined, mean.num_dropped) == (pytest.approx(0.5 / 4), 2, 1)
    with pytest.raises(ConfigError, match="'epe'"):
        mean_depth_metric([small], "epe")


def test_a_map_is_resized_in_half_pixel_coordinates() -> None:
    ramp = np.tile(np.arange(8.0), (1, 4, 1))  # depth = x
    resized = resize_to_truth(ramp, height=8, width=16)
    assert resized.shape == (1, 8, 16)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized[0, 4, 4:12], (np.arange(4, 12) + 0.5) / 2 - 0.5, atol=0.05)  # OpenCV's cubic bends a ramp a little
    np.testing.assert_allclose(resized[0, 4, 3:13].reshape(5, 2).mean(axis=1), np.arange(1.5, 6), atol=1e-5)  # evenly about each old edge
    assert resize_to_truth(np.where(ramp < 4, 0.0, 1.0), height=8, width=16).min() < -0.01  # a cubic swings below a step, a line does not
    np.testing.assert_array_equal(resize_to_truth(ramp, height=4, width=8), ramp)
    with pytest.raises(DataError, match=r"\[T, h, w\]"):
        resize_to_truth(ramp[0], height=4, width=8)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(DataError, match="resize"):
        depth_metrics(np.ones((2, 2)), np.ones((2, 3)), protocol=DepthProtocol())
    with pytest.raises(DataError, match="bool"):
        depth_metrics(np.ones((2, 2)), np.ones((2, 2)), protocol=DepthProtocol(), counted=np.ones((2, 2)))
    with pytest.raises(ConfigError, match="'scale'"):
        DepthProtocol(alignment="scale")
    with pytest.raises(ConfigError, match="max_depth_m"):
        DepthProtocol(max_depth_m=0)
    with pytest.raises(ConfigError, match="'waymo'"):
        published_protocol("waymo", "median")
