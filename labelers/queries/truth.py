"""Queries that are the clip's own true points, so that every label has a truth to be measured against."""

import numpy as np

from labelers.queries.draw import generator_for
from pipeline.records import TrackTruth


def true_points(truth: TrackTruth, *, count: int, height: int, width: int, key: str) -> np.ndarray:
    """At most `count` points of a clip's true tracks, one per track; all of them if there are no more.

    A track is queried in its `query_frame`, or in the first frame after it in which the point is seen inside the image; tracks
    that are never seen there are left out. Of more tracks than wanted the choice is even over the tracks as ordered by query
    frame, drawn from the clip's key. Positions are the truth's own, bit for bit.

    Returns: float32 "n 3": (t, x, y), ordered by frame.
    """
    position = truth.tracks_px
    inside = ((position >= -0.5) & (position <= np.array([width, height], np.float32) - 0.5)).all(axis=-1)
    begun = np.arange(len(position))[:, None] >= truth.query_frame
    askable = truth.seen & inside & begun
    tracks = np.flatnonzero(askable.any(axis=0))
    frames = askable[:, tracks].argmax(axis=0) if len(tracks) else np.zeros(0, np.int64)
    order = np.lexsort((tracks, frames))
    chosen = order[_spread(len(order), count, generator_for(key, "truth", 0))]
    tracks, frames = tracks[chosen], frames[chosen]
    return np.column_stack([frames, position[frames, tracks]]).astype(np.float32).reshape(-1, 3)


def _spread(length: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` increasing places of `range(length)`: one from each of as many equal parts, so that none comes twice."""
    if count >= length:
        return np.arange(length)
    bounds = np.arange(count + 1) * length // max(count, 1)
    return bounds[:-1] + (rng.random(count) * np.diff(bounds)).astype(np.int64)
