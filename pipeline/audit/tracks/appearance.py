"""Does a track still look like its query?"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.audit.tracks.masked import mean_where, min_where
from pipeline.audit.tracks.patches import PATCH, Patches, cut_patches
from pipeline.audit.tracks.query_frames import query_frames
from pipeline.records.arrays import check_array
from pipeline.records.labels import TrackLabels

_CHUNK = 4096  # tracks worked on at once: bounds the memory


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Appearance:
    """Normalised cross-correlation (NCC, -1 to 1) of grey patches along N tracks of T frames; NaN where hidden or flat."""

    ncc: np.ndarray  # float32 "T N": with the query's patch; about 1 at the query itself
    ncc_min: np.ndarray  # float32 "N": over the visible frames but the query's
    ncc_mean: np.ndarray  # float32 "N"
    ncc_step_min: np.ndarray  # float32 "N": with the frame before, both visible

    def __post_init__(self) -> None:
        check_array("ncc", self.ncc, "float32", (None, None))
        for name in ("ncc_min", "ncc_mean", "ncc_step_min"):
            check_array(name, getattr(self, name), "float32", self.ncc.shape[1:])


def appearance(labels: TrackLabels, grey: np.ndarray) -> Appearance:
    """NCC of the patch of 15 x 15 pixels around each visible point with the one around its query, and with the one a frame before.

    ncc[t, i] = mean(a b), a and b the patches of I[t_q] at q_i and of I[t] at P[t, i], each less its mean and divided by its
    standard deviation. A query's patch below 3 grey levels of deviation says nothing; a textured query that ends on a flat patch
    does (near 0). For the step both patches need texture.

    Args:
        grey: uint8 "T H W", in whose pixels the labels are. Patches are of this image's pixels, not the raster's.
    """
    asked = query_frames(labels)
    ncc, step_min = np.full(labels.visibility.shape, np.nan, np.float32), np.full(len(asked), np.nan, np.float32)
    for begin in range(0, len(asked), _CHUNK):
        rows = np.arange(begin, min(begin + _CHUNK, len(asked)))
        ncc[:, rows], step_min[rows] = _along(labels, grey, rows, _query_patches(labels, grey, rows, asked[rows]))
    counts = ~np.isnan(ncc) & (np.arange(len(grey))[:, None] != asked)
    return Appearance(
        ncc=ncc,
        ncc_min=min_where(ncc, counts).astype(np.float32),
        ncc_mean=mean_where(ncc, counts).astype(np.float32),
        ncc_step_min=step_min,
    )


def texture(labels: TrackLabels, grey: np.ndarray) -> np.ndarray:
    """Smaller eigenvalue of the gradient tensor over 15 x 15 pixels at each query (OpenCV's scale: grey in [0, 1]); float32 "N".

    A fact about where one asked, not a sign of a bad track.
    Source: Shi, Tomasi, Good Features to Track, CVPR 1994.
    """
    asked = query_frames(labels)
    strength = np.full(len(asked), np.nan, np.float32)
    for frame in np.unique(asked):
        here = np.flatnonzero(asked == frame)
        smallest = cv2.cornerMinEigenVal(grey[frame].astype(np.float32) / 255, PATCH)
        column, row = np.round(labels.queries[here, 1:]).astype(np.int64).T
        strength[here] = smallest[np.clip(row, 0, grey.shape[1] - 1), np.clip(column, 0, grey.shape[2] - 1)]
    return strength


def _query_patches(labels: TrackLabels, grey: np.ndarray, rows: np.ndarray, asked: np.ndarray) -> Patches:
    """The patches around the queries of M tracks."""
    pattern = np.zeros((len(rows), PATCH * PATCH), np.float32)
    textured = np.zeros(len(rows), bool)
    for frame in np.unique(asked):
        here = np.flatnonzero(asked == frame)
        patches = cut_patches(grey[frame], labels.queries[rows[here], 1:])
        pattern[here], textured[here] = patches.values, patches.textured
    return Patches(values=pattern, textured=textured)


def _along(labels: TrackLabels, grey: np.ndarray, rows: np.ndarray, queries: Patches) -> tuple[np.ndarray, np.ndarray]:
    """NCC with the query's patch, float32 "T M", and the smallest NCC of neighbouring visible frames, float32 "M", of M tracks.

    Each patch is cut once, for both.
    """
    ncc = np.full((len(grey), len(rows)), np.nan, np.float32)
    smallest = np.full(len(rows), np.inf, np.float32)
    seen_before, before = np.zeros(0, np.int64), None
    for frame, image in enumerate(grey):
        seen = np.flatnonzero(labels.visibility[frame, rows])
        patches = cut_patches(image, labels.tracks_px[frame, rows[seen]]) if len(seen) else None
        if patches is not None:
            known = np.flatnonzero(queries.textured[seen])
            ncc[frame, seen[known]] = queries.take(seen[known]).correlation(patches.take(known))
        if patches is not None and before is not None:
            both, now, then = np.intersect1d(seen, seen_before, assume_unique=True, return_indices=True)
            usable = patches.textured[now] & before.textured[then]
            step = before.take(then[usable]).correlation(patches.take(now[usable]))
            smallest[both[usable]] = np.minimum(smallest[both[usable]], step)
        seen_before, before = seen, patches
    return ncc, np.where(np.isfinite(smallest), smallest, np.float32(np.nan))
