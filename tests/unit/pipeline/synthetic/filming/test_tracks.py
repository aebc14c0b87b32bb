import numpy as np

from pipeline.synthetic.truth import choose_queries


def chosen(depth: np.ndarray, dynamic: np.ndarray, num_tracks: int = 90) -> np.ndarray:
    return choose_queries(depth, dynamic, num_tracks=num_tracks, rng=np.random.default_rng(0))


def test_queries_are_spread_over_frames_and_picture_and_never_on_the_sky() -> None:
    depth = np.ones((3, 20, 30), np.float32)
    depth[:, :5] = 0
    queries = chosen(depth, np.zeros(depth.shape, bool))
    np.testing.assert_array_equal(np.bincount(queries[:, 0].astype(int)), [30, 30, 30])
    assert queries[:, 2].min() == 5
    assert queries[:, 2].max() == 19
    assert len(np.unique(queries, axis=0)) == 90
    rows = np.bincount(queries[:, 2].astype(int) // 5, minlength=4)
    np.testing.assert_allclose(rows[1:], 30, atol=3)


def test_movers_get_four_queries_in_ten_where_they_are_large_and_fewer_where_they_are_small() -> None:
    depth, dynamic = np.ones((2, 20, 30), np.float32), np.zeros((2, 20, 30), bool)
    dynamic[0, 5:15, 10:25] = True
    dynamic[1, 5:7, 10:16] = True
    queries = chosen(depth, dynamic, 60)
    on_mover = dynamic[tuple(queries[:, [0, 2, 1]].astype(int).T)]
    np.testing.assert_array_equal(np.bincount(queries[:, 0].astype(int), weights=on_mover), [12, 1])


def test_an_empty_sky_has_no_tracks() -> None:
    assert chosen(np.zeros((2, 4, 4), np.float32), np.zeros((2, 4, 4), bool)).shape == (0, 3)


def test_where_all_moves_all_queries_do() -> None:
    full = np.ones((1, 6, 6), bool)
    assert len(chosen(full.astype(np.float32), full, 10)) == 10
