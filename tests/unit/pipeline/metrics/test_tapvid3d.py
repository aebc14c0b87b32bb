from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.tapvid3d import Tapvid3dConfig, Tapvid3dMetrics, tapvid3d_metrics, tapvid3d_trackwise_metrics
from pipeline.metrics.tapvid_counts import THRESHOLDS_PX
from pipeline.metrics.tracks3d import Tracks3d

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics"
SCALING_CASES = [
    "random_median",
    "random_mean",
    "random_none",
    "random_reproduce_2d",
    "random_per_trajectory",
    "random_per_trajectory_trackwise",
    "random_local_neighborhood_trackwise",
    "random_local_neighborhood_wide_trackwise",
    "patched_local_neighborhood",
    "patched_local_neighborhood_wide",
    "random_median_on_queries",
    "random_median_fixed_metric",
    "random_median_trackwise",
]
EDGE_CASES = [
    "order_tn_median",
    "order_tn_per_trajectory",
    "batched_b1_median",
    "perfect_up_to_scale",
    "all_gt_occluded",
    "all_pred_occluded",
    "no_jointly_visible",
    "all_gt_occluded_per_trajectory",
    "all_gt_and_pred_occluded",
    "behind_camera_prediction_per_trajectory",
    "single_frame_median",
    "single_track_median",
    "single_track_local_neighborhood_trackwise",
    "gt_at_origin_zero_threshold",
    "threshold_sweep_none",
]
REFUSED_BY_THE_REFERENCE = {  # what it raises on; the case that says what it should have given
    "tapvid3d_scaling/reference_bug_per_trajectory_query_n3": "tapvid3d_scaling/random_per_trajectory",
    "tapvid3d_scaling/reference_bug_local_neighborhood_video_level": "tapvid3d_scaling/patched_local_neighborhood",
}
CASES = [f"tapvid3d_scaling/{case}" for case in SCALING_CASES] + [f"tapvid3d_edge/{case}" for case in EDGE_CASES]


def load(case: str) -> dict[str, np.ndarray]:
    """The arrays of one golden case, by in/NAME and out/NAME."""
    file, name = case.split("/")
    with np.load(GOLDEN / f"{file}.npz", allow_pickle=False) as golden:
        return {key.removeprefix(f"{name}/"): golden[key] for key in golden.files if key.startswith(f"{name}/")}


def measure(arrays: dict[str, np.ndarray], video: int = 0) -> Tapvid3dMetrics:
    """What we make of a golden case's inputs."""
    order = str(arrays["in/order"])
    make = Tracks3d if order == "t n" else Tracks3d.of_tracks
    named = {}
    for name in ("gt", "pred"):
        positions, occluded = arrays[f"in/{name}_tracks"], arrays[f"in/{name}_occluded"]
        positions, occluded = (positions[video], occluded[video]) if order == "b n t" else (positions, occluded)
        named[name] = make(positions=positions, visible=~occluded)
    queries = arrays["in/query_points_tyx"]
    intrinsics = arrays["in/fx_fy_cx_cy"]
    fx, fy = (intrinsics[video] if intrinsics.ndim == 2 else intrinsics)[:2]
    config = Tapvid3dConfig(
        scaling=str(arrays["in/scaling"]),
        thresholds="metres" if arrays["in/use_fixed_metric_threshold"] else "pixels",
        neighborhood_radius_m=float(arrays["in/local_neighborhood_thresh"]),
    )
    run = tapvid3d_trackwise_metrics if arrays["in/get_trackwise_metrics"] else tapvid3d_metrics
    query_frames = np.round((queries[video] if queries.ndim == 3 else queries)[:, 0]).astype(int)
    return run(named["gt"], named["pred"], focal_px=np.sqrt(fx * fy), query_frames=query_frames, config=config)


def flat(metrics: Tapvid3dMetrics) -> dict[str, np.ndarray]:
    names = ("average_jaccard", "average_pts_within_thresh", "occlusion_accuracy")
    by_threshold = {f"{name}_{k}": getattr(metrics, name)[k] for name in ("jaccard", "pts_within") for k in THRESHOLDS_PX}
    return {name: getattr(metrics, name) for name in names} | by_threshold


def assert_as_expected(metrics: Tapvid3dMetrics, arrays: dict[str, np.ndarray]) -> None:
    expected = {key.removeprefix("out/"): value for key, value in arrays.items() if key.startswith("out/")}
    measured = flat(metrics)
    assert measured.keys() == expected.keys()
    for name, value in expected.items():
        assert measured[name].size == value.size
        np.testing.assert_allclose(measured[name], value.reshape(measured[name].shape), rtol=0, atol=1e-9, equal_nan=True, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_every_golden_case_of_the_reference_is_met(case: str) -> None:
    arrays = load(case)
    assert_as_expected(measure(arrays), arrays)


@pytest.mark.parametrize("case", REFUSED_BY_THE_REFERENCE)
def test_what_the_reference_refuses_by_mistake_is_measured(case: str) -> None:
    refused, meant = load(case), load(REFUSED_BY_THE_REFERENCE[case])
    assert "out/error" in refused
    assert_as_expected(measure(refused), meant)


def test_each_video_of_the_batch_that_the_reference_refuses_is_measured_alone() -> None:
    batch = load("tapvid3d_edge/reference_bug_batched_b2_median")
    assert "out/error" in batch
    for video in range(2):
        both = measure(batch, video)
        alone = {key: value[video] if value.ndim and key.startswith("in/") else value for key, value in batch.items()}
        single = measure({**alone, "in/order": np.array("n t")})
        assert both.average_jaccard == single.average_jaccard
        assert np.isfinite(both.average_jaccard)


def test_all_cases_of_the_golden_files_are_covered() -> None:
    covered = {*CASES, *REFUSED_BY_THE_REFERENCE, "tapvid3d_edge/reference_bug_batched_b2_median"}
    found = set()
    for file in ("tapvid3d_scaling", "tapvid3d_edge"):
        with np.load(GOLDEN / f"{file}.npz", allow_pickle=False) as golden:
            found |= {f"{file}/{case}" for case in golden["cases"]}
    assert found == covered


def make_tracks(positions: list[list[list[float]]], visible: list[list[bool]] | None = None) -> Tracks3d:
    """Frames of tracks of (x, y, z); all visible unless said otherwise."""
    array = np.array(positions)
    return Tracks3d(positions=array, visible=np.ones(array.shape[:2], bool) if visible is None else np.array(visible))


def test_a_small_case_worked_by_hand() -> None:
    # one track at 2 m, focal length 100 px: a pixel is 0.02 m. Off by 0, 0.03 (1.5 px), 0.5 (25 px, hidden); seen: yes yes no
    truth = make_tracks([[[0, 0, 2]], [[0, 0, 2]], [[0, 0, 2]]], [[True], [True], [False]])
    prediction = make_tracks([[[0, 0, 2]], [[0.03, 0, 2]], [[0.5, 0, 2]]])
    measured = tapvid3d_metrics(truth, prediction, focal_px=100, config=Tapvid3dConfig(scaling="none"))
    assert measured.occlusion_accuracy == pytest.approx(2 / 3)
    assert measured.pts_within[1] == pytest.approx(1 / 2)
    assert measured.pts_within[2] == pytest.approx(1)
    assert measured.jaccard[1] == pytest.approx(1 / (2 + 2))  # the second is too far, the third is claimed though hidden
    assert measured.jaccard[2] == pytest.approx(2 / (2 + 1))
    assert measured.average_pts_within_thresh_with_occluded == pytest.approx((1 / 3 + 4 * 2 / 3) / 5)
    zoomed = tapvid3d_metrics(truth, prediction, focal_px=np.array([100, 50, 100]), config=Tapvid3dConfig(scaling="none"))
    assert zoomed.pts_within[1] == 1  # in the second frame a pixel is 0.04 m


def test_a_distance_of_exactly_the_threshold_does_not_count() -> None:
    truth, prediction = make_tracks([[[0, 0, 4]]]), make_tracks([[[2, 0, 4]]])  # a pixel is 1 m: off by exactly 2 px
    measured = tapvid3d_metrics(truth, prediction, focal_px=4, config=Tapvid3dConfig(scaling="none"))
    assert [float(measured.pts_within[k]) for k in THRESHOLDS_PX] == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("scaling", ["per_trajectory", "reproduce_2d"])
def test_a_prediction_behind_the_camera_is_wrong_though_it_projects_rightly(scaling: str) -> None:
    truth, mirrored = make_tracks([[[1, 1, 2]], [[1, 1, 3]]]), make_tracks([[[-1, -1, -2]], [[-1, -1, -3]]])
    config = Tapvid3dConfig(scaling=scaling)
    measured = tapvid3d_metrics(truth, mirrored, focal_px=100, query_frames=np.array([0]), config=config)
    assert measured.average_pts_within_thresh == 0


def test_a_fixed_threshold_is_in_metres() -> None:
    truth = make_tracks([[[0, 0, 50]]])
    prediction = make_tracks([[[0.03, 0, 50]]])
    config = Tapvid3dConfig(scaling="none", thresholds="metres")
    measured = tapvid3d_metrics(truth, prediction, focal_px=100, config=config)
    assert [float(measured.pts_within[k]) for k in THRESHOLDS_PX] == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(("scaling", "factor"), [("median", 2.0), ("mean", 3.5), ("median_on_queries", 8.0)])
def test_one_factor_per_video_comes_from_the_points_that_both_see(scaling: str, factor: float) -> None:
    # true distances 2 2 2 8 and a hidden 900, all predicted at 1; the query is in frame 3
    truth = make_tracks([[[0, 0, 2]], [[0, 0, 2]], [[0, 0, 2]], [[0, 0, 8]], [[0, 0, 900]]], [[True]] * 4 + [[False]])
    prediction = make_tracks([[[0, 0, 1]], [[0, 0, 1]], [[0, 0, 1]], [[0, 0, 1]], [[0, 0, 7]]])
    config = Tapvid3dConfig(scaling=scaling)
    measured = tapvid3d_metrics(truth, prediction, focal_px=100, query_frames=np.array([3]), config=config)
    assert measured.scale == pytest.approx(factor)


def test_per_trajectory_takes_each_tracks_depth_in_its_query_frame() -> None:
    truth = make_tracks([[[0, 0, 2], [0, 0, 3]], [[0, 0, 4], [0, 0, 5]]])
    prediction = make_tracks([[[0, 0, 1], [0, 0, 1]], [[0, 0, 1], [0, 0, 0.5]]])
    config = Tapvid3dConfig(scaling="per_trajectory")
    measured = tapvid3d_metrics(truth, prediction, focal_px=100, query_frames=np.array([0, 1]), config=config)
    np.testing.assert_allclose(measured.scale, [2, 10])


def test_a_wrong_factor_of_the_prediction_is_forgiven_but_not_a_wrong_shape() -> None:
    rng = np.random.default_rng(5)
    positions = rng.uniform([-1, -1, 2], [1, 1, 6], (6, 9, 3))
    truth, seen = Tracks3d(positions=positions, visible=np.ones((6, 9), bool)), np.ones((6, 9), bool)
    for factor in (0.01, 40):
        scaled = Tracks3d(positions=factor * positions, visible=seen)
        assert tapvid3d_metrics(truth, scaled, focal_px=200).average_jaccard == 1
    bent = Tracks3d(positions=positions * [1, 1, 1.3], visible=seen)
    assert tapvid3d_metrics(truth, bent, focal_px=200).average_jaccard < 0.5


def test_both_orders_of_axes_give_the_same_record() -> None:
    rng = np.random.default_rng(6)
    positions, visible = rng.normal(0, 1, (4, 7, 3)), rng.random((4, 7)) < 0.5
    frames_first = Tracks3d(positions=positions, visible=visible, valid=visible)
    tracks_first = Tracks3d.of_tracks(positions.swapaxes(0, 1), visible.T, visible.T)
    np.testing.assert_array_equal(frames_first.positions, tracks_first.positions)
    np.testing.assert_array_equal(frames_first.visible, tracks_first.visible)
    np.testing.assert_array_equal(frames_first.evaluated, tracks_first.evaluated)


def test_where_the_truth_is_not_valid_nothing_is_judged() -> None:
    truth = make_tracks([[[0, 0, 2]], [[0, 0, 2]]])
    prediction = make_tracks([[[0, 0, 2]], [[9, 9, 2]]], [[True], [False]])
    half = replace(truth, valid=np.array([[True], [False]]))
    measured = tapvid3d_metrics(half, prediction, focal_px=100)
    assert (measured.average_jaccard, measured.occlusion_accuracy) == (1, 1)
    assert tapvid3d_metrics(truth, prediction, focal_px=100).occlusion_accuracy == 0.5


def test_an_undefined_value_has_its_reason_and_a_defined_one_has_none() -> None:
    truth, prediction = make_tracks([[[0, 0, 2], [1, 0, 2]]]), make_tracks([[[0, 0, 1], [0.5, 0, 1]]])
    assert tapvid3d_metrics(truth, prediction, focal_px=100).undefined == {}
    blind = replace(truth, visible=np.zeros((1, 2), bool))
    measured = tapvid3d_metrics(blind, prediction, focal_px=100)
    assert np.isnan(measured.average_pts_within_thresh)
    assert set(measured.undefined) == {"average_pts_within_thresh", "scale"}
    assert "no true point is visible" in measured.undefined["average_pts_within_thresh"]
    one_seen = tapvid3d_trackwise_metrics(replace(truth, visible=np.array([[True, False]])), prediction, focal_px=100)
    assert one_seen.undefined["average_pts_within_thresh"].startswith("1 of 2: no true point")


def test_a_lonely_and_a_crowded_track_weigh_alike_in_local_neighborhoods() -> None:
    # three tracks within 1.5 cm, right; one alone, 9 cm from the nearest, wrong in its second frame
    positions = np.array([[0, 0, 2], [0.01, 0, 2], [0, 0.01, 2], [0.1, 0, 2]]) * np.ones((2, 1, 1))
    predicted = positions / np.array([2, 2, 2, 3])[:, None]  # the lonely one is right by its own scale alone
    predicted[1, 3, 1] = 9
    seen = np.ones((2, 4), bool)
    truth, prediction = Tracks3d(positions=positions, visible=seen), Tracks3d(positions=predicted, visible=seen)
    config = Tapvid3dConfig(scaling="local_neighborhood")
    measured = tapvid3d_metrics(truth, prediction, focal_px=100, query_frames=np.zeros(4, int), config=config)
    assert measured.average_pts_within_thresh == pytest.approx((3 * 2 + 1) / 8)  # each track weighs its two frames
    assert measured.occlusion_accuracy == 1


def test_a_track_that_is_never_seen_has_no_value_in_its_local_neighborhood() -> None:
    positions = np.array([[0, 0, 2], [0.01, 0, 2], [5, 0, 2]]) * np.ones((2, 1, 1))  # the hidden one has a seen neighbour; one is far
    truth = Tracks3d(positions=positions, visible=np.array([[False, True, True]] * 2))
    prediction = Tracks3d(positions=positions, visible=np.array([[False, True, False]] * 2))
    asked = {"focal_px": 100, "query_frames": np.zeros(3, int), "config": Tapvid3dConfig(scaling="local_neighborhood")}
    alone = tapvid3d_trackwise_metrics(truth, prediction, **asked)
    np.testing.assert_array_equal(alone.occlusion_accuracy, [np.nan, 1, 0])  # google-deepmind/tapnet says so too
    np.testing.assert_array_equal(alone.average_jaccard, [np.nan, 1, 0])
    assert tapvid3d_metrics(truth, prediction, **asked).occlusion_accuracy == pytest.approx(2 / 3)  # weights 0; 1 on four points; 1 on two


def test_bad_input_is_refused_with_its_place() -> None:
    good = make_tracks([[[0, 0, 2], [0, 0, 3]]])
    broken = replace(good, positions=np.array([[[0, 0, 2], [np.nan, 0, 3]]]))
    with pytest.raises(DataError, match="frame 0, track 1: the predicted position is not finite"):
        tapvid3d_metrics(good, broken, focal_px=100)
    with pytest.raises(DataError, match="true position"):
        tapvid3d_metrics(broken, good, focal_px=100)
    hidden = replace(broken, visible=np.array([[True, False]]))
    assert np.isfinite(tapvid3d_metrics(hidden, good, focal_px=100).average_jaccard)
    with pytest.raises(DataError, match="same frames and tracks"):
        tapvid3d_metrics(good, make_tracks([[[0, 0, 2]]]), focal_px=100)
    with pytest.raises(DataError, match="focal_px"):
        tapvid3d_metrics(good, good, focal_px=np.ones(3))
    with pytest.raises(ConfigError, match="needs query_frames"):
        tapvid3d_metrics(good, good, focal_px=100, config=Tapvid3dConfig(scaling="per_trajectory"))
    with pytest.raises(DataError, match=r"integers in \[0, 1\)"):
        tapvid3d_metrics(good, good, focal_px=100, query_frames=np.array([0, 1]), config=Tapvid3dConfig(scaling="per_trajectory"))
    with pytest.raises(ConfigError, match="'mode'"):
        Tapvid3dConfig(scaling="mode")
    with pytest.raises(ConfigError, match="'feet'"):
        Tapvid3dConfig(thresholds="feet")
    with pytest.raises(DataError, match="expected"):
        Tracks3d(positions=np.zeros((2, 3, 3)), visible=np.zeros((3, 2), bool))
