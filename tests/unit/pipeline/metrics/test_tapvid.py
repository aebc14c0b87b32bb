from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.tapvid import (
    QUERY_MODES,
    THRESHOLDS_PX,
    TapvidMetrics,
    tapvid_from_labels,
    tapvid_metrics,
    tapvid_trackwise_metrics,
)
from pipeline.records.labels import TrackLabels

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "tapvid2d.npz"
CASES = [
    "random_first",
    "random_strided",
    "random_first_trackwise",
    "random_strided_trackwise",
    "perfect_first",
    "all_gt_occluded_pred_visible",
    "all_gt_occluded_pred_occluded",
    "pred_all_occluded",
    "single_frame_first",
    "single_frame_strided",
    "query_on_last_frame_first",
    "query_on_last_frame_strided",
    "exact_thresholds",
    "fractional_query_frame",
]


def make_labels(tracks_px: np.ndarray, *, visible: bool = True) -> TrackLabels:
    num_frames, num_tracks = tracks_px.shape[:2]
    queries = np.concatenate([np.zeros((num_tracks, 1)), tracks_px[0]], axis=1).astype(np.float32)
    visibility = np.full((num_frames, num_tracks), visible)
    return TrackLabels(queries=queries, tracks_px=tracks_px.astype(np.float32), visibility=visibility)


def flat(metrics: TapvidMetrics) -> dict[str, np.ndarray]:
    names = ("average_jaccard", "average_pts_within_thresh", "occlusion_accuracy")
    by_threshold = {f"{name}_{k}": getattr(metrics, name)[k] for name in ("jaccard", "pts_within") for k in THRESHOLDS_PX}
    return {name: getattr(metrics, name) for name in names} | by_threshold


@pytest.mark.parametrize("case", CASES)
def test_every_golden_case_of_the_reference_is_met(case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        names = ("query_points", "gt_occluded", "gt_tracks", "pred_occluded", "pred_tracks")
        measure = tapvid_trackwise_metrics if golden[f"{case}/in/get_trackwise_metrics"] else tapvid_metrics
        measured = flat(measure(*(golden[f"{case}/in/{name}"] for name in names), query_mode=str(golden[f"{case}/in/query_mode"])))
        expected = {key.split("/")[-1]: golden[key] for key in golden.files if key.startswith(f"{case}/out/")}
    assert measured.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(measured[name], value, rtol=0, atol=1e-9, equal_nan=True, err_msg=name)


def test_all_metric_cases_of_the_golden_file_are_covered() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        assert set(golden["cases"]) - {"queries_first", "queries_strided5"} == set(CASES)


def test_a_small_case_worked_by_hand() -> None:
    # one track, query at frame 0, four frames after it; distances 0.5, 3, 20, 0; seen: yes yes no yes; predicted seen: yes yes yes no
    truth = np.zeros((1, 1, 5, 2))
    prediction = truth.copy()
    prediction[0, 0, :, 0] = [0, 0.5, 3, 20, 0]
    occluded = np.array([[[False, False, False, True, False]]])
    pred_occluded = np.array([[[False, False, False, False, True]]])
    measured = tapvid_metrics(np.zeros((1, 1, 3)), occluded, truth, pred_occluded, prediction, query_mode="first")
    assert measured.occlusion_accuracy == pytest.approx(2 / 4)
    assert measured.pts_within[1] == pytest.approx(2 / 3)  # frames 1 and 4 of the three that are seen
    assert measured.pts_within[4] == pytest.approx(1)
    assert measured.jaccard[1] == pytest.approx(1 / (3 + 2))  # frame 1 right; frames 2 (too far) and 3 (not seen) are false positives
    assert measured.jaccard[4] == pytest.approx(2 / (3 + 1))


@pytest.mark.parametrize("mode", QUERY_MODES)
def test_permuted_tracks_change_nothing(mode: str) -> None:
    rng = np.random.default_rng(3)
    queries = rng.integers(0, 6, (1, 7, 3)).astype(float)
    occluded, pred_occluded = rng.random((2, 1, 7, 6)) < 0.3
    truth, prediction = rng.normal(0, 4, (2, 1, 7, 6, 2))
    order = rng.permutation(7)
    plain = flat(tapvid_metrics(queries, occluded, truth, pred_occluded, prediction, query_mode=mode))
    permuted = flat(tapvid_metrics(*(array[:, order] for array in (queries, occluded, truth, pred_occluded, prediction)), query_mode=mode))
    for name, value in plain.items():
        np.testing.assert_allclose(permuted[name], value)


def test_labels_are_measured_on_the_raster_and_not_in_their_own_pixels() -> None:
    truth = np.full((3, 1, 2), 10, np.float32)
    labels = make_labels(truth + np.array([1.9, 0], np.float32))  # 0.95 px on the raster when the image is 512 wide
    seen = np.ones((3, 1), bool)
    assert tapvid_from_labels(labels, truth, seen, height=512, width=512).pts_within[1] == 1
    assert tapvid_from_labels(labels, truth, seen, height=512, width=256).pts_within[1] == 0
    along_y = make_labels(truth + np.array([0, 1.9], np.float32))
    assert tapvid_from_labels(along_y, truth, seen, height=512, width=256).pts_within[1] == 1


def test_only_frames_after_a_labels_query_frame_count() -> None:
    truth = np.zeros((4, 1, 2), np.float32)
    tracks = truth.copy()
    tracks[:3] = 100  # wrong up to and including the query frame, right after it
    labels = replace(make_labels(tracks), queries=np.array([[2, 0, 0]], np.float32))
    measured = tapvid_from_labels(labels, truth, np.ones((4, 1), bool), height=256, width=256)
    assert measured.average_jaccard == 1
    strided = tapvid_from_labels(labels, truth, np.ones((4, 1), bool), height=256, width=256, query_mode="strided")
    assert strided.average_pts_within_thresh == pytest.approx(1 / 3)


def test_truth_of_another_size_is_refused() -> None:
    labels = make_labels(np.zeros((3, 2, 2), np.float32))
    with pytest.raises(DataError, match="truth is"):
        tapvid_from_labels(labels, np.zeros((3, 1, 2)), np.ones((3, 1), bool), height=8, width=8)


def test_an_unknown_mode_and_disagreeing_shapes_are_refused() -> None:
    arrays = (np.zeros((1, 1, 3)), np.zeros((1, 1, 4), bool), np.zeros((1, 1, 4, 2)), np.zeros((1, 1, 4), bool), np.zeros((1, 1, 4, 2)))
    with pytest.raises(ConfigError, match="'last'"):
        tapvid_metrics(*arrays, query_mode="last")
    with pytest.raises(DataError, match="pred_tracks"):
        tapvid_metrics(*arrays[:4], np.zeros((1, 4, 1, 2)), query_mode="first")
