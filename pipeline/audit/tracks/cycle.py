"""Following every track back to where it began, with the labeler that made it."""

from dataclasses import dataclass

import numpy as np

from pipeline.audit.tracks.inputs import inside_image, mean_where, query_frames
from pipeline.errors import DataError
from pipeline.metrics.tapvid_counts import to_raster
from pipeline.records.arrays import check_array
from pipeline.records.labels import TrackLabels


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CycleMeasures:
    """Cycle errors of N tracks; distances in pixels of the 256 x 256 raster. NaN where a track has no frame to come back from."""

    fb_cycle: np.ndarray  # float32 "N": distance from the query after there and back
    fb_all: np.ndarray  # float32 "N": mean distance of the two paths over the visible frames between
    fb_agree: np.ndarray  # float32 "N": share of the frames between in which both directions say the same of visibility

    def __post_init__(self) -> None:
        for name in ("fb_cycle", "fb_all", "fb_agree"):
            check_array(name, getattr(self, name), "float32", self.fb_cycle.shape[:1])


def cycle_queries(labels: TrackLabels, *, height: int, width: int) -> np.ndarray:
    """Queries for tracking backward: those of the clip with its frames in reverse order.

    Row i is (T - 1 - t_e, P[t_e, i]), with t_e the last visible frame after the query. A track that was followed backwards only
    starts from its earliest visible frame. One that is visible nowhere but at its query starts there, and says nothing.

    Returns: float32 "N 3", (t, x, y), within the image of `height` x `width` pixels.
    Raises: DataError if a query of the labels is not on a frame of the clip.
    """
    ends = _end_frames(labels, height=height, width=width)
    num_frames, num_tracks = labels.visibility.shape
    places = labels.tracks_px[ends, np.arange(num_tracks)]
    idle = ends == query_frames(labels)
    places[idle] = labels.queries[idle, 1:]
    places = np.clip(places, -0.5, np.array([width, height]) - 0.5)
    return np.column_stack([num_frames - 1 - ends, places]).astype(np.float32)


def cycle_measures(labels: TrackLabels, retracked: TrackLabels, *, height: int, width: int) -> CycleMeasures:
    """Compare the way there with the way back.

    fb_cycle_i = |B[t_q, i] - q_i|, fb_all_i = mean of |P[t, i] - B[t, i]| over the visible t from t_q to t_e without t_e, and
    fb_agree_i = share of the t from t_q to t_e without t_e in which labels and way back agree on visibility.
    B is read wherever the labels call the point visible: a way back that was lost is what is looked for.

    Args:
        labels: the labels that are judged, in pixels of a `height` x `width` image.
        retracked: labels of the reversed clip for `cycle_queries(labels)`; frame T - 1 - t is frame t here. Tracks beyond the
            first N, from re-seeding, are not looked at.
    Raises: DataError if the way back has other frames or fewer tracks, or began somewhere else.
    Source: the forward-backward error of Kalal, Mikolajczyk, Matas (2010), over whole tracks.
    """
    _check(labels, retracked, height=height, width=width)
    num_frames, num_tracks = labels.visibility.shape
    back, seen_back = retracked.tracks_px[::-1, :num_tracks], retracked.visibility[::-1, :num_tracks]
    start, end = query_frames(labels), _end_frames(labels, height=height, width=width)
    rows = np.arange(num_tracks)
    there, returned = to_raster(labels.tracks_px, height, width), to_raster(back, height, width)
    began = to_raster(labels.queries[:, 1:], height, width)
    frame = np.arange(num_frames)[:, None]
    between = (frame >= np.minimum(start, end)) & (frame <= np.maximum(start, end)) & (frame != end)
    distance = np.linalg.norm(there - returned, axis=-1)
    to_query = np.linalg.norm(returned[start, rows] - began, axis=-1)
    return CycleMeasures(
        fb_cycle=np.where(start == end, np.nan, to_query).astype(np.float32),
        fb_all=mean_where(distance, between & labels.visibility).astype(np.float32),
        fb_agree=mean_where(labels.visibility == seen_back, between).astype(np.float32),
    )


def survival(fb_cycle: np.ndarray, limit_px: float) -> float:
    """Share of the tracks that come back to within `limit_px` of their query, among those for which this is known; NaN if none is."""
    known = fb_cycle[~np.isnan(fb_cycle)]
    return float(np.mean(known <= limit_px)) if len(known) else float("nan")


def _end_frames(labels: TrackLabels, *, height: int, width: int) -> np.ndarray:
    """The frame t_e from which each track is followed back, int64 "N"; the query's own where there is no other."""
    start = query_frames(labels)
    usable = labels.visibility & inside_image(labels.tracks_px, height=height, width=width)
    if not usable.size:
        return start
    last = len(usable) - 1 - np.argmax(usable[::-1], axis=0)
    first = np.argmax(usable, axis=0)
    end = np.where(last > start, last, np.minimum(first, start))
    return np.asarray(np.where(usable.any(axis=0), end, start))


def _check(labels: TrackLabels, retracked: TrackLabels, *, height: int, width: int) -> None:
    num_frames, num_tracks = labels.visibility.shape
    if len(retracked.visibility) != num_frames or retracked.visibility.shape[1] < num_tracks:
        raise DataError(
            f"the way back is {list(retracked.visibility.shape)} (frames, tracks), the labels are {[num_frames, num_tracks]};"
            " label the reversed clip with cycle_queries(labels)"
        )
    wanted = cycle_queries(labels, height=height, width=width)
    if not np.allclose(retracked.queries[:num_tracks], wanted, atol=1e-3):
        raise DataError("the way back did not begin where the tracks end; label the reversed clip with cycle_queries(labels)")
