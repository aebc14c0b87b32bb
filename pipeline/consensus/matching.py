"""Tracks of several label sets matched by their queries."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.records.arrays import check_array

LEAST_VOTES = 2  # that a point, and a clip, must have: one vote alone is no consensus


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MatchedQueries:
    """N queries that two votes or more know, out of S sets."""

    queries: npt.NDArray[np.float32]  # float32 "N 3", (t, x, y)
    rows: npt.NDArray[np.int64]  # int64 "S N": row of the query in each set, -1 where the set does not have it
    num_left_out: int  # queries that one vote alone knows

    def __post_init__(self) -> None:
        check_array("queries", self.queries, "float32", (None, 3))
        check_array("rows", self.rows, "int64", (None, len(self.queries)))


def match_queries(sets: Sequence[np.ndarray], votes: Sequence[str]) -> MatchedQueries:
    """Match queries that are equal in frame and place, as float32; the order of a set's rows does not matter.

    A query that stands several times in a set is matched in its order: the first with the first. The result is in the order of the
    first set, then of what only later sets have. A query that fewer than two votes know (such as one that a tracker added for itself,
    where it began tracks anew) is left out.

    Args:
        sets: queries of each set, float32 "M 3", (t, x, y), pixels of the stored clip.
        votes: name of each set's vote; sets of one name vote together.
    Raises: DataError if there is not one vote for each set.
    """
    if len(sets) != len(votes):
        raise DataError(f"{len(sets)} sets of queries, {len(votes)} votes; give each set its vote")
    places: dict[tuple[float, ...], list[int]] = {}
    for number, queries in enumerate(sets):
        for row, query in enumerate(_numbered(queries)):
            places.setdefault(query, [-1] * len(sets))[number] = row
    kept = {query: rows for query, rows in places.items() if _num_votes(rows, votes) >= LEAST_VOTES}
    return MatchedQueries(
        queries=np.array([query[:3] for query in kept], np.float32).reshape(-1, 3),
        rows=np.array(list(kept.values()), np.int64).reshape(-1, len(sets)).T,
        num_left_out=len(places) - len(kept),
    )


def _numbered(queries: np.ndarray) -> list[tuple[float, ...]]:
    """Each query with the number of equal ones before it."""
    before: Counter[tuple[float, ...]] = Counter()
    numbered = []
    for query in map(tuple, queries.tolist()):
        numbered.append((*query, before[query]))
        before[query] += 1
    return numbered


def _num_votes(rows: Sequence[int], votes: Sequence[str]) -> int:
    return len({vote for row, vote in zip(rows, votes, strict=True) if row >= 0})
