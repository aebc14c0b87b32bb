from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.metrics import point_clouds
from pipeline.metrics.point_clouds import estimate_normals

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "pointmap.npz"


@pytest.mark.parametrize("case", ["noisy_sim3", "exact_sim3", "one_view_drifted", "mirrored", "dtu_like_mm", "few_points"])
def test_open3d_is_met_up_to_sign(case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        found = estimate_normals(golden[f"{case}/in/gt"][golden[f"{case}/in/mask"]])
        cosine = np.abs(np.sum(found * golden[f"{case}/out/gt_normals"], axis=1))
    np.testing.assert_allclose(cosine, 1, atol=1e-3)


def test_a_tilted_plane_has_its_own_normal_everywhere() -> None:
    x, y = np.meshgrid(np.arange(9.0), np.arange(9.0))
    plane = np.stack([x, y, 2 - 0.5 * x], axis=-1).reshape(-1, 3)  # z + x / 2 = 2
    normal = np.array([0.5, 0, 1]) / np.sqrt(1.25)
    np.testing.assert_allclose(np.abs(estimate_normals(plane) @ normal), 1, atol=1e-12)


def test_a_sphere_has_radial_normals() -> None:
    ball = np.random.default_rng(4).normal(size=(4000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    assert np.abs(np.sum(estimate_normals(ball) * ball, axis=1)).min() > 0.99


def test_only_near_neighbours_matter() -> None:
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(5.0), np.arange(5.0)))
    floor, wall = np.stack([x, y, 0 * x], axis=1), np.stack([100 + 0 * x, x, y], axis=1)
    found = estimate_normals(np.concatenate([floor, wall]), num_neighbours=9)
    np.testing.assert_allclose(np.abs(found[:25]), [[0, 0, 1]] * 25, atol=1e-12)
    np.testing.assert_allclose(np.abs(found[25:]), [[1, 0, 0]] * 25, atol=1e-12)


def test_where_there_is_no_plane_there_is_no_normal() -> None:
    assert np.isnan(estimate_normals(np.zeros((2, 3)))).all()
    assert np.isnan(estimate_normals(np.outer(np.arange(5.0), [1, 0, 0]))).all()
    assert np.isnan(estimate_normals(np.ones((5, 3)))).all()
    assert estimate_normals(np.zeros((0, 3))).shape == (0, 3)


def test_working_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(5).normal(size=(50, 3))
    whole = estimate_normals(points)
    monkeypatch.setattr(point_clouds, "CHUNK", 7)
    np.testing.assert_array_equal(estimate_normals(points), whole)


def test_broken_points_are_refused() -> None:
    with pytest.raises(DataError, match="points are"):
        estimate_normals(np.zeros((4, 2)))
    with pytest.raises(DataError, match="NaN"):
        estimate_normals(np.full((4, 3), np.nan))
