"""Agreement of two label sets of one clip."""

from dataclasses import dataclass

import numpy as np

from pipeline.audit.tracks.inputs import max_where, median_where
from pipeline.errors import DataError
from pipeline.metrics.tapvid import tapvid_trackwise_metrics
from pipeline.metrics.tapvid_counts import ratio, to_raster
from pipeline.records.arrays import check_array
from pipeline.records.labels import TrackLabels


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Agreement:
    """Of N tracks with a second opinion; float32 "N", NaN where the other set has no track of the same query."""

    disagree_median: np.ndarray  # pixels of the raster, over the frames visible in both
    disagree_max: np.ndarray
    visible_iou: np.ndarray  # frames visible in both / in either
    agree_aj: np.ndarray  # AJ with the other as truth, averaged over both directions

    def __post_init__(self) -> None:
        for name in ("disagree_median", "disagree_max", "visible_iou", "agree_aj"):
            check_array(name, getattr(self, name), "float32", self.disagree_median.shape[:1])


def agreement(labels: TrackLabels, other: TrackLabels, *, height: int, width: int) -> Agreement:
    """Compare each track with the other set's track of the same query.

    disagree = median and max of |A[t] - B[t]| over the frames visible in both, without the query's, in which both are given;
    visible_iou over all frames; agree_aj the mean of TAP-Vid's AJ of A against B and of B against A (all frames but the query's).

    Args:
        labels, other: of one clip, in pixels of its `height` x `width` image. Queries are matched by equality.
    Raises: DataError if the sets have different numbers of frames.
    """
    if len(labels.visibility) != len(other.visibility):
        raise DataError(
            f"the other label set has {len(other.visibility)} frames, this one {len(labels.visibility)}; they are not of one clip"
        )
    partner = _partners(labels.queries, other.queries)
    mine = np.flatnonzero(partner >= 0)
    theirs = partner[mine]
    a, b = to_raster(labels.tracks_px[:, mine], height, width), to_raster(other.tracks_px[:, theirs], height, width)
    seen_a, seen_b = labels.visibility[:, mine], other.visibility[:, theirs]
    both = seen_a & seen_b & (np.arange(len(seen_a))[:, None] != labels.queries[mine, 0])
    distance = np.linalg.norm(a - b, axis=-1)
    queries = labels.queries[mine]
    values = {
        "disagree_median": median_where(distance, both),
        "disagree_max": max_where(distance, both),
        "visible_iou": ratio((seen_a & seen_b).sum(axis=0), (seen_a | seen_b).sum(axis=0)),
        "agree_aj": (
            _jaccard(queries, truth=(b, seen_b), predicted=(a, seen_a)) + _jaccard(queries, truth=(a, seen_a), predicted=(b, seen_b))
        )
        / 2,
    }
    return Agreement(**{name: _spread(found, mine, len(partner)) for name, found in values.items()})


def _jaccard(queries: np.ndarray, *, truth: tuple[np.ndarray, np.ndarray], predicted: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """AJ of each of M tracks, given as positions "T M 2" and visibility "T M"."""
    (true_tracks, true_seen), (tracks, seen) = truth, predicted
    metrics = tapvid_trackwise_metrics(
        queries[None, :, [0, 2, 1]],
        ~true_seen.T[None],
        true_tracks.swapaxes(0, 1)[None],
        ~seen.T[None],
        tracks.swapaxes(0, 1)[None],
        query_mode="strided",
    )
    return metrics.average_jaccard[0]


def _partners(queries: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Row of the equal query among the others (the first such), int64 "N"; -1 where there is none."""
    rows: dict[tuple[float, ...], int] = {}
    for row, query in enumerate(others.tolist()):
        rows.setdefault(tuple(query), row)
    return np.array([rows.get(tuple(query), -1) for query in queries.tolist()], np.int64)


def _spread(values: np.ndarray, rows: np.ndarray, num_tracks: int) -> np.ndarray:
    spread = np.full(num_tracks, np.nan, np.float32)
    spread[rows] = values
    return spread
