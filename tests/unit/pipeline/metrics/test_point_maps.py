from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.errors import DataError
from pipeline.metrics.point_maps import VALUES, PointCloud, PointMapMetrics, compare_clouds, point_map_metrics

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "pointmap.npz"
PIPELINES = ["noisy_sim3", "exact_sim3", "one_view_drifted", "mirrored", "dtu_like_mm", "few_points"]
NAME_OF = {
    "acc": "accuracy",
    "comp": "completion",
    "nc": "normal_consistency",
    "nc1": "normals_of_prediction",
    "nc2": "normals_of_truth",
}


def assert_equal_golden(measured: PointMapMetrics, expected: dict[str, float], *, normals_within: float) -> None:
    assert not measured.undefined
    for key, value in expected.items():
        short, statistic = key.split("_", 1)
        found = getattr(getattr(measured, NAME_OF[short]), "mean" if statistic.startswith("mean") else "median")
        assert found == pytest.approx(value, rel=0, abs=normals_within if short.startswith("nc") else 1e-6), key


def outputs(golden: np.lib.npyio.NpzFile, case: str, *, suffix: str = "") -> dict[str, float]:
    keys = {f"{short}_{statistic}": f"{case}/out/{short}_{statistic}{suffix}" for short in NAME_OF for statistic in ("mean", "med")}
    return {key: float(golden[path]) for key, path in keys.items() if path in golden.files}


def make_surface(height: int = 12, width: int = 15) -> np.ndarray:
    """One gently curved view, "1 H W 3"."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-0.8, 0.8, height))
    return np.stack([x, y, 3 + 0.2 * x**2 - 0.3 * y**2 + 0.1 * x * y**2], axis=-1)[None]


@pytest.mark.parametrize("case", PIPELINES)
def test_the_whole_golden_pipeline_is_met_without_open3d(case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        predicted, true, mask = (golden[f"{case}/in/{name}"] for name in ("pred", "gt", "mask"))
        threshold = float(golden[f"{case}/in/icp_threshold"])
        expected, unrefined = outputs(golden, case), outputs(golden, case, suffix="_umeyama_only")
    assert len(expected) == 10
    assert len(unrefined) == 4
    assert_equal_golden(point_map_metrics(predicted, true, mask=mask, icp_distance=threshold), expected, normals_within=1e-3)
    assert_equal_golden(point_map_metrics(predicted, true, mask=mask, icp_distance=None), unrefined, normals_within=1e-3)


@pytest.mark.parametrize("case", PIPELINES)
def test_the_golden_consistency_is_met_with_the_stored_normals(case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        mask, motion = golden[f"{case}/in/mask"], golden[f"{case}/out/icp_T"]
        aligned = golden[f"{case}/out/umeyama_c"] * golden[f"{case}/in/pred"][mask] @ golden[f"{case}/out/umeyama_R"].T
        aligned = (aligned + golden[f"{case}/out/umeyama_t"].ravel()) @ motion[:3, :3].T + motion[:3, 3]
        measured = compare_clouds(
            PointCloud(points=aligned, normals=golden[f"{case}/out/pred_normals"]),
            PointCloud(points=golden[f"{case}/in/gt"][mask], normals=golden[f"{case}/out/gt_normals"]),
        )
        assert_equal_golden(measured, outputs(golden, case), normals_within=1e-5)


def test_the_golden_clouds_with_given_normals_are_met() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        assert set(golden["cases"]) == {*PIPELINES, "given_normals"}
        points = {name: golden[f"given_normals/in/{name}"] for name in ("pred_points", "pred_normals", "gt_points", "gt_normals")}
        expected = outputs(golden, "given_normals")
    measured = compare_clouds(
        PointCloud(points=points["pred_points"], normals=points["pred_normals"]),
        PointCloud(points=points["gt_points"], normals=points["gt_normals"]),
    )
    assert len(expected) == 8
    assert_equal_golden(measured, expected, normals_within=1e-5)


def test_distances_and_cosines_worked_by_hand() -> None:
    # true points at x = 0 and 10, predicted at 1, 2 and 10; one predicted normal is turned by 60 degrees, one points the other way
    up, tilted = [0.0, 0, 1], [0, np.sin(np.pi / 3), 0.5]
    measured = compare_clouds(
        PointCloud(points=np.array([[1.0, 0, 0], [2, 0, 0], [10, 0, 0]]), normals=np.array([up, tilted, [0, 0, -1.0]])),
        PointCloud(points=np.array([[0.0, 0, 0], [10, 0, 0]]), normals=np.array([up, up])),
    )
    assert (measured.accuracy.mean, measured.accuracy.median) == (pytest.approx((1 + 2 + 0) / 3), 1)
    assert (measured.completion.mean, measured.completion.median) == (0.5, 0.5)
    assert measured.normals_of_prediction.mean == pytest.approx((1 + 0.5 + 1) / 3)
    assert measured.normals_of_truth.mean == pytest.approx(1)
    assert measured.normal_consistency.mean == pytest.approx((2.5 / 3 + 1) / 2)


def test_a_similarity_of_the_prediction_is_undone() -> None:
    true = make_surface()
    turn = Rotation.from_rotvec([0.4, -1.0, 0.2]).as_matrix()
    predicted = 0.2 * (true @ turn.T) + [5, 6, 7]
    measured = point_map_metrics(predicted, true, mask=np.ones(true.shape[:3], bool))
    assert measured.accuracy.mean == pytest.approx(0, abs=1e-9)
    assert measured.completion.mean == pytest.approx(0, abs=1e-9)
    assert measured.normal_consistency.mean == pytest.approx(1)
    assert measured.alignment is not None
    assert measured.alignment.scale == pytest.approx(5)


def test_only_pixels_of_the_mask_count() -> None:
    true = make_surface()
    predicted = true.copy()
    predicted[0, :3] = np.nan
    mask = np.ones(true.shape[:3], bool)
    mask[0, :3] = False
    measured = point_map_metrics(predicted, true, mask=mask)
    assert measured.num_points == 9 * 15
    assert measured.accuracy.mean == pytest.approx(0, abs=1e-9)


def test_undefined_cases_are_nan_with_a_reason() -> None:
    true = make_surface(4, 5)
    everything = np.ones(true.shape[:3], bool)
    lost = true.copy()
    lost[0, 0, 0, 2] = np.nan
    cases = {
        "1 of 20 predicted points": point_map_metrics(lost, true, mask=everything),
        "there are no points": point_map_metrics(true, true, mask=~everything),
        "coincide": point_map_metrics(np.ones_like(true), true, mask=everything),
        "the true cloud has no points": compare_clouds(PointCloud(points=np.ones((4, 3))), PointCloud(points=np.zeros((0, 3)))),
    }
    for reason, measured in cases.items():
        assert set(measured.undefined) == set(VALUES), reason
        assert reason in measured.undefined["accuracy"]
        assert np.isnan([measured.accuracy.mean, measured.completion.median, measured.normal_consistency.mean]).all()


def test_points_without_a_surface_have_distances_but_no_consistency() -> None:
    line = PointCloud(points=np.outer(np.arange(5.0), [1, 0, 0]))
    measured = compare_clouds(line, line)
    assert measured.accuracy.mean == 0
    assert np.isnan(measured.normal_consistency.mean)
    assert set(measured.undefined) == {"normal_consistency", "normals_of_prediction", "normals_of_truth"}


def test_wrong_input_is_refused() -> None:
    true = make_surface(3, 4)
    mask = np.ones(true.shape[:3], bool)
    with pytest.raises(DataError, match="mask"):
        point_map_metrics(true, true, mask=mask[0])
    with pytest.raises(DataError, match="true point"):
        point_map_metrics(true, np.full_like(true, np.inf), mask=mask)
    with pytest.raises(DataError, match="predicted cloud"):
        compare_clouds(PointCloud(points=np.full((2, 3), np.nan)), PointCloud(points=np.zeros((2, 3))))
    with pytest.raises(DataError, match="normals are"):
        PointCloud(points=np.zeros((2, 3)), normals=np.zeros((3, 3)))
    with pytest.raises(DataError, match="points are"):
        PointCloud(points=np.zeros(3))
