"""Tracks of several label sets fused point by point and frame by frame: a vote on visibility, the median of the positions that agree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.consensus.matching import MatchedQueries
from pipeline.errors import DataError
from pipeline.metrics.tapvid_counts import to_raster
from pipeline.records import TrackLabels
from pipeline.records.arrays import check_array, check_finite

AGREE_PX = 4.0  # of the 256 x 256 raster: beyond it the audit calls a track bad
LEAST_TRUST = 0.01  # so that tracks that nobody trusts have votes, too
ALONE = 0.5  # factor of the confidence where no other vote agrees
_TIE = 1e-9  # shares and weights that differ by less are equal
_DISTANCES_AT_ONCE = 2**20


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Opinion:
    """Tracks of one label set, and how far they are trusted."""

    vote: str  # name: sets of one name have one vote together
    labels: TrackLabels
    trust: npt.NDArray[np.float32]  # float32 "M" in [0, 1]

    def __post_init__(self) -> None:
        check_array("trust", self.trust, "float32", (len(self.labels.queries),))
        check_finite("trust", self.trust)
        if ((self.trust < 0) | (self.trust > 1)).any():
            raise DataError(f"the trust of {self.vote} lies in [{self.trust.min():g}, {self.trust.max():g}], expected [0, 1]")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Ballots:
    """S sets on N points over T frames, aligned."""

    tracks_px: np.ndarray  # float64 "S T N 2"; 0 where the set does not have the track
    seen: np.ndarray  # bool "S T N"
    trust: np.ndarray  # float64 "S N"; 0 where the set does not have the track
    weight: np.ndarray  # float64 "S N": trust, divided by the number of sets of the same vote
    known: np.ndarray  # bool "S N"
    votes: np.ndarray  # int64 "S": number of each set's vote


def fuse_tracks(
    opinions: Sequence[Opinion], matched: MatchedQueries, *, height: int, width: int, agree_px: float = AGREE_PX
) -> TrackLabels:  # fmt: skip
    """Fuse S sets of tracks, each point in each frame by itself.

    The weight of set s on a point is w_s = max(trust_s, 0.01) / k, k the sets of the same vote that have the point: variants of one
    labeler weigh together as much as one. With W the sum over the sets that have it:

    - visibility_score is the sum of w_s over the sets that see the point, / W. It is visible where that is above one half: a tie hides.
    - The position is put to those that see the point, to all that have it where none does. Around each of them gather those within
      `agree_px`. The gathering with the greatest weight among those of two votes or more wins (of equals, the one
      with the smaller weighted sum of distances, then that around the set named first), and the position is its median, x and y
      apart: the place where half of the weight is passed, between the middles of the weights. With equal weights that is the
      usual median. Where no two votes agree, the set of the greatest trust has its position (of equals, the one named first).
    - confidence is the weight of the gathering / W, halved where no other vote agrees.

    Args:
        opinions: of one clip, of `height` x `width` pixels.
        matched: of their queries, in the same order.
        agree_px: in pixels of the 256 x 256 raster, above 0.
    Returns: tracks of the N matched queries, positions in pixels of the clip. There is no cycle error: nothing was followed back.
    Raises: DataError if the opinions differ in frames, or the matched rows are not of them.
    """
    ballots = _ballots(opinions, matched)
    weight = ballots.weight.sum(axis=0)
    share = (ballots.weight[:, None] * ballots.seen).sum(axis=0) / weight
    visible = share > 0.5 + _TIE
    asked = np.where(ballots.seen.any(axis=0), ballots.seen, ballots.known[:, None])
    tracks, agreeing = np.zeros((*visible.shape, 2)), np.zeros(visible.shape)
    for frames in _blocks(ballots.seen.shape):
        winners = _winners(ballots, asked[:, frames], frames, size=(height, width), agree_px=agree_px)
        members = winners * ballots.weight[:, None]
        tracks[frames] = _median(ballots.tracks_px[:, frames], members)
        several = _num_votes(winners, ballots.votes) > 1
        agreeing[frames] = np.where(several, 1.0, ALONE) * members.sum(axis=0)
    return TrackLabels(
        queries=matched.queries,
        tracks_px=tracks.astype(np.float32),
        visibility=visible,
        visibility_score=_score(share),
        confidence=_score(agreeing / weight),
    )


def _ballots(opinions: Sequence[Opinion], matched: MatchedQueries) -> _Ballots:
    lengths = {len(opinion.labels.tracks_px) for opinion in opinions}
    if len(lengths) != 1:
        raise DataError(f"tracks of {', '.join(map(str, sorted(lengths))) or 'no'} frames; fused are label sets of one clip")
    if len(matched.rows) != len(opinions):
        raise DataError(f"queries of {len(matched.rows)} sets were matched, {len(opinions)} are to be fused")
    known = matched.rows >= 0
    rows = np.maximum(matched.rows, 0)
    names = [opinion.vote for opinion in opinions]
    votes = np.array([names.index(name) for name in names])
    trust = np.stack(
        [_taken(np.maximum(each.trust, LEAST_TRUST), row, have) for each, row, have in zip(opinions, rows, known, strict=True)]
    )
    sets_of_vote = np.stack([known[votes == vote].sum(axis=0) for vote in votes])
    return _Ballots(
        tracks_px=np.stack([_taken(each.labels.tracks_px, row, have) for each, row, have in zip(opinions, rows, known, strict=True)]),
        seen=np.stack([_taken(each.labels.visibility, row, have) for each, row, have in zip(opinions, rows, known, strict=True)]) > 0,
        trust=trust,
        weight=trust / np.maximum(sets_of_vote, 1),
        known=known,
        votes=votes,
    )


def _taken(values: np.ndarray, rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values "M", "T M" or "T M 2" of the tracks in `rows`; 0 of those that are not known. float64."""
    axis = min(values.ndim - 1, 1)
    if not known.any():
        return np.zeros((*values.shape[:axis], len(rows), *values.shape[axis + 1 :]))
    taken = np.take(values.astype(np.float64), rows, axis=axis)
    return np.where(known[:, None] if values.ndim == 3 else known, taken, 0.0)


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Frames whose distances lie in memory together."""
    num_sets, num_frames, num_tracks = shape
    size = max(1, _DISTANCES_AT_ONCE // max(1, num_sets * num_sets * num_tracks))
    return (slice(first, first + size) for first in range(0, num_frames, size))


def _winners(ballots: _Ballots, asked: np.ndarray, frames: slice, *, size: tuple[int, int], agree_px: float) -> np.ndarray:
    """Sets whose positions count, bool "S T N": one at least. `asked`, likewise, says which of them are asked."""
    places = to_raster(ballots.tracks_px[:, frames], *size)
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)  # "S S T N": from the set in the middle to the others
    near = (distance <= agree_px) & asked[:, None] & asked[None]
    weight = near * ballots.weight[None, :, None]
    several = np.stack([_num_votes(around, ballots.votes) > 1 for around in near])
    support = np.where(several, weight.sum(axis=1), ballots.trust[:, None])
    spread = (weight * distance).sum(axis=1)
    order = np.lexsort((_rounded(spread), _rounded(-support), ~several, ~asked), axis=0)[:1]  # stable: of equals, the first
    alone = (np.arange(len(asked))[:, None, None] == order) & asked
    around = np.take_along_axis(near, order[:, None], axis=0)[0]
    return np.asarray(np.where(np.take_along_axis(several, order, axis=0), around, alone))


def _num_votes(sets: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Number of votes among some sets, bool "S T N" -> int64 "T N"."""
    return np.asarray(np.sum([sets[votes == vote].any(axis=0) for vote in np.unique(votes)], axis=0))


def _rounded(values: np.ndarray) -> np.ndarray:
    """So that equal sums are equal in whatever order they were added."""
    return np.round(values / _TIE)


def _median(positions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median along the first axis of positions "S T N 2", each with its weight "S T N", float64 "T N 2".

    With x_1 <= x_2 <= ..., weights w_i, and c_i = w_1 + ... + w_i - w_i / 2, it is x at c = (w_1 + w_2 + ...) / 2, linear between the
    c_i. What has no weight takes no part.
    """
    weights = np.broadcast_to(weights[..., None], positions.shape)
    order = np.argsort(np.where(weights > 0, positions, np.inf), axis=0, kind="stable")
    x, w = (np.take_along_axis(each, order, axis=0) for each in (positions, weights))
    total = w.cumsum(axis=0)
    middle, half = total - w / 2, total[-1:] / 2
    upper = (middle < half).sum(axis=0, keepdims=True)
    lower = np.maximum(upper - 1, 0)
    (x_low, x_high), (c_low, c_high) = ([np.take_along_axis(each, place, axis=0)[0] for place in (lower, upper)] for each in (x, middle))
    gap = c_high - c_low
    part = np.where(gap > 0, (half[0] - c_low) / np.where(gap > 0, gap, 1.0), 0.0)
    return np.asarray(x_low + np.clip(part, 0.0, 1.0) * (x_high - x_low))


def _score(share: np.ndarray) -> np.ndarray:
    return np.clip(share, 0.0, 1.0).astype(np.float32)
