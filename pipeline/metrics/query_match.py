"""Which true track a query is a point of."""

import numpy as np

from pipeline.records import TrackTruth


def match_queries(queries: np.ndarray, truth: TrackTruth) -> np.ndarray:
    """The true track that is seen exactly at each query's place in its frame; positions must be equal as float32.

    Args:
        queries: float32 "N 3", (t, x, y), pixels of the stored clip.
    Returns: int64 "N", the track's number (the lowest, if several stand on one spot), -1 where there is none.
    """
    matched = np.full(len(queries), -1, np.int64)
    frames = queries[:, 0].astype(np.int64)
    for frame in np.unique(frames):
        tracks = np.flatnonzero(truth.seen[frame]) if 0 <= frame < len(truth.seen) else np.zeros(0, np.int64)
        if len(tracks) == 0:
            continue
        known, first = np.unique(_codes(truth.tracks_px[frame, tracks]), return_index=True)
        here = np.flatnonzero(frames == frame)
        wanted = _codes(queries[here, 1:])
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        hit = known[place] == wanted
        matched[here[hit]] = tracks[first[place[hit]]]
    return matched


def _codes(positions: np.ndarray) -> np.ndarray:
    """Positions float32 "N 2" as one whole number each, the same for equal positions."""
    normalised = np.ascontiguousarray(positions, np.float32) + np.float32(0)  # -0 equals 0
    return normalised.view(np.int64)[:, 0]
