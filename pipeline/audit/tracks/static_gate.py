"""Tracks that stand still in the world: the gate of losses that need a static scene."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.audit.records import StaticModel, StaticPair
from pipeline.audit.tracks.epipolar import FUNDAMENTAL_PX, HOMOGRAPHY_PX, PairGeometry
from pipeline.audit.tracks.inputs import max_where, median_where, min_where
from pipeline.audit.tracks.neighbours import MIN_NEIGHBOURS, neighbour_displacements
from pipeline.metrics.tapvid_counts import RASTER
from pipeline.records.arrays import check_array

SHORT_GAP, LONG_GAP = 8, 16  # frames between the two of a pair
_STILL_CAMERA_PX, _STILL_POINT_PX = 0.5, 1.0  # of the clip's own pixels
_PLANE_RATIO, _DEPTH_RATIO = 0.9, 0.6
_PARALLAX_PX = 8.0  # of the raster: off the plane by so much, F's word counts exp(-1) while it is not decided that there is depth
_NEIGHBOUR_PX = 4.0
STATIC_SCORE = 0.5  # from here on a track counts as static


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StaticGate:
    """Static scores of N tracks; `static_score` of at least 0.5 is static, NaN is unknown."""

    static_score: np.ndarray  # float32 "N" in [0, 1]
    pairs: tuple[StaticPair, ...]

    def __post_init__(self) -> None:
        check_array("static_score", self.static_score, "float32", (None,))

    @property
    def static_inlier_ratio(self) -> float:
        """Share of static among the decided tracks; NaN if none is decided."""
        decided = self.static_score[~np.isnan(self.static_score)]
        return float(np.mean(decided >= STATIC_SCORE)) if len(decided) else float("nan")


def static_gate(geometries: Sequence[PairGeometry], num_tracks: int, *, height: int, width: int) -> StaticGate:
    """Score every track by how well it moves as a rigid scene would, over pairs of frames (8 and 16 apart).

    Each pair of frames gives each point visible in both a score g = exp(-e^2), with e its residual in units of the fit's own threshold:

    - the median point moves less than 0.5 px of the clip: the camera stands, g = 2^-(d^2) with d the displacement in such pixels;
    - else a homography H (e = transfer distance / 2 px) and a fundamental matrix F (e = Sampson distance / 1 px) are fitted. With
      R = inliers of H / inliers of F: above 0.9 the score is H's, below 0.6 it is F's. Between, a point is dynamic only if it disobeys H,
      and also F or its neighbours' median displacement by 4 px; but F's score counts times exp(-(distance from H / 8 px)^2), as among
      many movers F is easily bent to obey one of them.
    - Where F alone decides, the displacement along the epipolar line must be within 4 px of the span of the 8 neighbours': F cannot
      see motion along the line. The span, as parallax beside a depth edge differs from any median. A moving object, many points of
      which follow their own epipolar lines, is seen by no such test.

    The track's score is the median over the pairs that see it, be it one; NaN where none does. A short track is judged by less, and on
    rendered clips no worse: what moves passes less often with one or two pairs than with six (see docs/benchmarks.md).

    Args:
        geometries: what `pair_geometries` found for both gaps.
        height, width: of the clip, for what is said of its own pixels.
    """
    to_clip = np.array([width, height]) / RASTER
    scored = [_score(pair, to_clip) for pair in geometries]
    table = np.full((len(geometries), num_tracks), np.nan)
    for row, (pair, (scores, _)) in enumerate(zip(geometries, scored, strict=True)):
        table[row, pair.tracks] = scores
    score = median_where(table, ~np.isnan(table), at_least=1)
    return StaticGate(static_score=score.astype(np.float32), pairs=tuple(report for _, report in scored))


def _score(pair: PairGeometry, to_clip: np.ndarray) -> tuple[np.ndarray, StaticPair]:
    """Scores of the pair's points, float64 "M", NaN if no model was found; and what the report says of it."""
    displacement = np.linalg.norm((pair.after - pair.before) * to_clip, axis=-1)
    if np.median(displacement) < _STILL_CAMERA_PX:
        return _reported(pair, "none", 0.5 ** ((displacement / _STILL_POINT_PX) ** 2))
    model = _model(pair)
    by_homography, by_fundamental = _falling(pair.homography_px, HOMOGRAPHY_PX), _falling(pair.sampson_px, FUNDAMENTAL_PX)
    if model == "homography":
        return _reported(pair, model, by_homography)
    moved, everyone = pair.after - pair.before, np.arange(len(pair.tracks))
    differs = moved - neighbour_displacements(pair.before, moved, everyone, everyone)
    if model == "fundamental":
        return _reported(pair, model, np.where(_beyond_neighbours(pair, differs) < _NEIGHBOUR_PX, by_fundamental, 0.0))
    with_crowd = np.linalg.norm(median_where(differs, ~np.isnan(differs), at_least=MIN_NEIGHBOURS), axis=-1)
    excused = by_fundamental * _falling(pair.homography_px, _PARALLAX_PX)
    return _reported(pair, model, np.fmax(by_homography, np.where(with_crowd > _NEIGHBOUR_PX, 0.0, excused)))


def _model(pair: PairGeometry) -> StaticModel:
    if pair.fundamental is None:
        return "homography"
    ratio = np.mean(pair.homography_px <= HOMOGRAPHY_PX) / max(float(np.mean(pair.sampson_px <= FUNDAMENTAL_PX)), 1e-6)
    if ratio > _PLANE_RATIO:
        return "homography"
    return "fundamental" if ratio < _DEPTH_RATIO else "undecided"


def _falling(residual_px: np.ndarray, scale_px: float) -> np.ndarray:
    return np.exp(-((residual_px / scale_px) ** 2))


def _beyond_neighbours(pair: PairGeometry, differs: np.ndarray) -> np.ndarray:
    """Distance of each displacement from the span of its neighbours', along its epipolar line; pixels of the raster, float64 "M".

    Negative inside the span; 0 where there are too few neighbours.

    Args:
        differs: "K M 2", displacement less that of each neighbour, NaN where there is none.
    """
    if pair.fundamental is None:
        return np.zeros(len(pair.tracks))
    lines = np.column_stack([pair.before, np.ones(len(pair.before))]) @ pair.fundamental.T
    direction = np.column_stack([-lines[:, 1], lines[:, 0]])
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-12)
    along = (differs * direction).sum(axis=-1)
    known = ~np.isnan(along)
    least, most = (extreme(along, known, at_least=MIN_NEIGHBOURS) for extreme in (min_where, max_where))
    return np.nan_to_num(np.maximum(least, -most), nan=0.0)


def _reported(pair: PairGeometry, model: StaticModel, scores: np.ndarray) -> tuple[np.ndarray, StaticPair]:
    obedient = pair.homography_px[pair.sampson_px <= FUNDAMENTAL_PX]
    report = StaticPair(
        start=pair.start,
        end=pair.end,
        model=model,
        num_candidates=len(pair.tracks),
        static_inlier_ratio=float(np.mean(scores >= STATIC_SCORE)),
        parallax_px=float(np.median(obedient)) if len(obedient) else float("nan"),
    )
    return scores, report
