from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.tapvid import TapvidQueries, sample_queries_first, sample_queries_strided

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "tapvid2d.npz"


def assert_equal_to_golden(queries: TapvidQueries, case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        np.testing.assert_allclose(queries.query_points[None], golden[f"{case}/out/query_points"], atol=1e-9)
        np.testing.assert_allclose(queries.tracks[None], golden[f"{case}/out/target_points"], atol=1e-9)
        np.testing.assert_array_equal(queries.occluded[None], golden[f"{case}/out/occluded"])


def test_first_queries_equal_the_reference() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        occluded, points = golden["queries_first/in/occluded"], golden["queries_first/in/points"]
    assert_equal_to_golden(sample_queries_first(occluded, points), "queries_first")


def test_strided_queries_equal_the_reference() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        occluded, points = golden["queries_strided5/in/occluded"], golden["queries_strided5/in/points"]
        group = golden["queries_strided5/out/trackgroup"]
    queries = sample_queries_strided(occluded, points, stride=5)
    assert_equal_to_golden(queries, "queries_strided5")
    np.testing.assert_array_equal(queries.track_index[None], group)


def test_the_first_query_of_a_track_lies_in_its_first_visible_frame() -> None:
    occluded = np.array([[True, True, False, False], [True, True, True, True], [False, True, True, True]])
    tracks = np.arange(24, dtype=float).reshape(3, 4, 2)  # track 0, frame 2 is (4, 5)
    queries = sample_queries_first(occluded, tracks)
    np.testing.assert_array_equal(queries.query_points, [[2, 5, 4], [0, 17, 16]])
    np.testing.assert_array_equal(queries.track_index, [0, 2])


def test_a_video_in_which_nothing_is_visible_has_no_queries() -> None:
    assert sample_queries_first(np.ones((2, 3), bool), np.zeros((2, 3, 2))).query_points.shape == (0, 3)
    assert sample_queries_strided(np.ones((2, 3), bool), np.zeros((2, 3, 2))).query_points.shape == (0, 3)


def test_wrong_shapes_and_strides_are_refused() -> None:
    with pytest.raises(DataError, match="tracks"):
        sample_queries_first(np.ones((2, 3), bool), np.zeros((3, 2, 2)))
    with pytest.raises(ConfigError, match="stride"):
        sample_queries_strided(np.ones((2, 3), bool), np.zeros((2, 3, 2)), stride=0)
