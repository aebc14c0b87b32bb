from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.errors import ConfigError
from pipeline.metrics.point_clouds import icp

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "pointmap.npz"


@pytest.mark.parametrize("case", ["noisy_sim3", "exact_sim3", "one_view_drifted", "mirrored", "dtu_like_mm", "few_points"])
def test_open3d_is_met(case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        mask = golden[f"{case}/in/mask"]
        source = golden[f"{case}/out/umeyama_c"] * golden[f"{case}/in/pred"][mask] @ golden[f"{case}/out/umeyama_R"].T
        source += golden[f"{case}/out/umeyama_t"].ravel()
        found = icp(source, golden[f"{case}/in/gt"][mask], max_distance=float(golden[f"{case}/in/icp_threshold"]))
        np.testing.assert_allclose(found.rotation, golden[f"{case}/out/icp_T"][:3, :3], atol=1e-6)
        np.testing.assert_allclose(found.translation, golden[f"{case}/out/icp_T"][:3, 3], atol=1e-6)
        assert found.fitness == pytest.approx(float(golden[f"{case}/out/icp_fitness"]), abs=1e-6)
        assert found.inlier_rmse == pytest.approx(float(golden[f"{case}/out/icp_inlier_rmse"]), abs=1e-6)


def test_a_slightly_moved_cloud_is_brought_back() -> None:
    target = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)
    turn = Rotation.from_rotvec([0.02, -0.03, 0.01]).as_matrix()
    source = (target - [0.05, 0, -0.05]) @ turn
    found = icp(source, target, max_distance=0.5)
    np.testing.assert_allclose(found.apply(source), target, atol=1e-9)
    np.testing.assert_allclose(found.rotation, turn, atol=1e-9)
    assert (found.fitness, found.inlier_rmse) == (1, pytest.approx(0, abs=1e-9))


def test_a_cloud_beyond_the_limit_stays_where_it_is() -> None:
    source = np.random.default_rng(3).normal(size=(9, 3))
    found = icp(source, source + [100, 0, 0], max_distance=1)
    np.testing.assert_array_equal(found.apply(source), source)
    assert (found.fitness, found.inlier_rmse) == (0, 0)


def test_a_limit_that_is_no_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="largest distance"):
        icp(np.zeros((1, 3)), np.zeros((1, 3)), max_distance=0)
