import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.similarity import RansacConfig, ransac_similarity

TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])


def make_clouds(num_points: int, num_wild: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    source = rng.normal(0, 1, (num_points, 3))
    target = 1.5 * source @ TURN.T + [1, 2, 3]
    target[:num_wild] += rng.normal(0, 20, (num_wild, 3))
    return source, target


def test_a_third_of_wrong_points_does_not_move_the_fit() -> None:
    source, target = make_clouds(90, 30)
    found = ransac_similarity(source, target, generator=np.random.default_rng(0), config=RansacConfig(num_draws=60))
    assert (found.num_inliers, found.num_points) == (60, 90)
    assert found.similarity.scale == pytest.approx(1.5)
    np.testing.assert_allclose(found.similarity.rotation, TURN, atol=1e-9)
    np.testing.assert_allclose(found.similarity.translation, [1, 2, 3], atol=1e-9)


def test_the_same_generator_finds_the_same() -> None:
    source, target = make_clouds(90, 60)
    target += np.random.default_rng(5).normal(0, 0.02, target.shape)
    first, second = (
        ransac_similarity(source, target, generator=np.random.default_rng(1), config=RansacConfig(num_draws=30)) for _ in range(2)
    )
    assert first.num_inliers == second.num_inliers
    np.testing.assert_array_equal(first.similarity.rotation, second.similarity.rotation)


def test_many_points_are_thinned() -> None:
    source, target = make_clouds(90, 0)
    found = ransac_similarity(source, target, generator=np.random.default_rng(0), config=RansacConfig(num_draws=3, max_points=40))
    assert (found.num_inliers, found.num_points) == (40, 40)


@pytest.mark.parametrize("cloud", [np.zeros((0, 3)), np.eye(2, 3), np.ones((9, 3))])
def test_where_no_sample_determines_it_the_fit_is_nan_with_a_reason(cloud: np.ndarray) -> None:
    found = ransac_similarity(cloud, cloud, generator=np.random.default_rng(0), config=RansacConfig(num_draws=5))
    assert np.isnan(found.similarity.scale)
    assert "within 0.05 m" in str(found.similarity.degenerate)


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="expected"):
        ransac_similarity(np.ones((4, 3)), np.ones((4, 2)), generator=np.random.default_rng(0))
    with pytest.raises(ConfigError, match="num_draws is 0"):
        RansacConfig(num_draws=0)
