"""Queries of several label sets, matched whatever their order."""

import numpy as np
import pytest

from pipeline.consensus.matching import match_queries
from pipeline.errors import DataError


def queries(*rows: tuple[float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 3)


P, Q, R, S = (0, 1.5, 2), (0, 3, 4), (5, 1.5, 2), (2, 7, 7)


def test_equal_queries_are_matched_in_the_order_of_the_first_set_that_has_them():
    found = match_queries([queries(P, Q), queries(R, Q, P), queries(S, R)], ["a", "b", "c"])
    np.testing.assert_array_equal(found.queries, queries(P, Q, R))
    np.testing.assert_array_equal(found.rows, [[0, 1, -1], [2, 1, 0], [-1, -1, 1]])
    assert found.num_left_out == 1  # S


def test_two_sets_of_one_vote_do_not_make_a_point_known_to_two():
    found = match_queries([queries(P, Q), queries(P, Q), queries(Q)], ["a", "a", "b"])
    np.testing.assert_array_equal(found.queries, queries(Q))
    assert found.num_left_out == 1


def test_queries_that_stand_twice_are_matched_one_by_one():
    found = match_queries([queries(P, P, P), queries(P, Q, P)], ["a", "b"])
    np.testing.assert_array_equal(found.rows, [[0, 1], [0, 2]])
    assert found.num_left_out == 2  # the third P, and Q


def test_places_differ_by_the_last_bit_of_float32():
    near = np.nextafter(np.float32(1.5), np.float32(2))
    assert not len(match_queries([queries(P), queries((0, near, 2))], ["a", "b"]).queries)


def test_nothing_in_common_and_nothing_at_all_are_empty():
    apart, empty = match_queries([queries(P), queries(Q)], ["a", "b"]), match_queries([queries(), queries()], ["a", "b"])
    assert (apart.queries.shape, apart.rows.shape, apart.num_left_out) == ((0, 3), (2, 0), 2)
    assert (empty.queries.shape, empty.rows.shape, empty.num_left_out) == ((0, 3), (2, 0), 0)


def test_every_set_has_a_vote():
    with pytest.raises(DataError, match="2 sets of queries, 1 votes"):
        match_queries([queries(P), queries(P)], ["a"])
