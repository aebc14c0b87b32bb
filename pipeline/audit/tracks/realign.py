"""Disagreement of the picture with each step of a track, added up along the track as drift adds up."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.audit.tracks.inputs import lengths, max_where, mean_where, number_frames, query_frames
from pipeline.metrics.tapvid_counts import RASTER
from pipeline.records.arrays import check_array
from pipeline.records.labels import TrackLabels

_WINDOW = 11  # side in pixels of the image
_BLUR_PX = 0.8  # sigma of a Gaussian on the frames, against noise
_SHORT, _LONG = 1, 4  # frames in a step
_FARTHEST_PX = 12.0  # of the raster: a step that is mended by more has found something else, and says nothing


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Realignment:
    """By how much N tracks would have to be moved, pixels of the raster; float32 "N", NaN where a track has no step of that length."""

    realign_mean: np.ndarray  # steps of one frame; mean over the frames reached
    realign_max: np.ndarray
    realign_long_mean: np.ndarray  # steps of four frames
    realign_long_max: np.ndarray

    def __post_init__(self) -> None:
        for name in ("realign_mean", "realign_max", "realign_long_mean", "realign_long_max"):
            check_array(name, getattr(self, name), "float32", self.realign_mean.shape[:1])


def realignment(labels: TrackLabels, grey: np.ndarray) -> Realignment:
    """Follow every step of a track anew, beginning where it ends, and add up the differences on the way from the query.

    With steps of g frames, d(t) = LK(I[t], I[t + g], P[t]) - P[t + g], where LK is the Lucas-Kanade search of a window of 11 x 11
    pixels that starts at P[t + g], without a pyramid; c(t_q + k g) = d(t_q) + ... + d(t_q + (k - 1) g), backwards in time likewise. The
    measures are mean and maximum of |c| over the frames reached, for g = 1 and 4. Steps with a hidden end add nothing, nor do
    those that were not found or moved by more than 12 px. A track that left its point for another drifts by what single steps
    hardly show; straight edges, and surfaces that change by themselves, drift a little without fault.

    Args:
        grey: uint8 "T H W", in whose pixels the labels are.
    Source: Lucas, Kanade, An iterative image registration technique, IJCAI 1981, as OpenCV implements it.
    """
    drift = RealignmentPass(labels)
    for frame, image in number_frames(labels, grey):
        drift.add(frame, image)
    return drift.realignment()


class RealignmentPass:
    """`realignment`, while the frames go by. The last five are held."""

    def __init__(self, labels: TrackLabels) -> None:
        self._frames: deque[np.ndarray] = deque(maxlen=_LONG + 1)  # without noise, the latest last
        self._drifts = {"realign": _Drift(labels, _SHORT), "realign_long": _Drift(labels, _LONG)}

    def add(self, frame: int, image: np.ndarray) -> None:
        """The next frame, grey uint8 "H W"."""
        self._frames.append(cv2.GaussianBlur(image, (0, 0), _BLUR_PX))
        for drift in self._drifts.values():
            if frame >= drift.gap:
                drift.add(frame, self._frames[-1 - drift.gap], self._frames[-1])

    def realignment(self) -> Realignment:
        """Results of the finished pass."""
        values: dict[str, np.ndarray] = {}
        for name, each in self._drifts.items():
            drift = each.drift_px()
            known = ~np.isnan(drift)
            values |= {f"{name}_mean": mean_where(drift, known), f"{name}_max": max_where(drift, known)}
        return Realignment(**{name: value.astype(np.float32) for name, value in values.items()})


class _Drift:
    """|c| of every track over steps of `gap` frames. Steps backwards are kept until the end: the first of them is seen last."""

    def __init__(self, labels: TrackLabels, gap: int) -> None:
        self.gap, self._labels, self._asked = gap, labels, query_frames(labels)
        self._drift = np.full(labels.visibility.shape, np.nan)
        self._gathered = np.zeros((len(self._asked), 2))
        self._backwards: list[tuple[int, np.ndarray, np.ndarray]] = []  # frame reached, tracks, d

    def add(self, frame: int, before: np.ndarray, now: np.ndarray) -> None:
        """The next frame, and the one `gap` frames before it."""
        there, back = self._steps(frame - self.gap, frame), self._steps(frame, frame - self.gap)
        if len(there):
            self._reach(frame, there, self._gathered, self._mended(frame - self.gap, frame, there, (before, now)))
        if len(back):
            self._backwards.append((frame - self.gap, back, self._mended(frame, frame - self.gap, back, (now, before))))

    def drift_px(self) -> np.ndarray:
        """In the frames reached, pixels of the raster, float64 "T N"; NaN elsewhere."""
        gathered = np.zeros_like(self._gathered)
        while self._backwards:
            end, here, moved = self._backwards.pop()
            self._reach(end, here, gathered, moved)
        return self._drift

    def _reach(self, end: int, here: np.ndarray, gathered: np.ndarray, moved: np.ndarray) -> None:
        gathered[here] += moved
        self._drift[end, here] = lengths(gathered[here])

    def _steps(self, start: int, end: int) -> np.ndarray:
        """The tracks that step from one frame to the other on the way from their query, and are visible in both; int64 "M"."""
        since = start - self._asked
        due = (since % self.gap == 0) & (since * (end - start) >= 0)
        return np.flatnonzero(due & self._labels.visibility[start] & self._labels.visibility[end])

    def _mended(self, start: int, end: int, here: np.ndarray, pictures: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        tracks, queries = self._labels.tracks_px, self._labels.queries
        begin = np.where((self._asked[here] == start)[:, None], queries[here, 1:], tracks[start, here])
        return _mended(*pictures, begin, tracks[end, here])


def _mended(first: np.ndarray, second: np.ndarray, begin: np.ndarray, finish: np.ndarray) -> np.ndarray:
    """By how much each step's end should be elsewhere, pixels of the raster, float64 "M 2"; 0 where that cannot be told."""
    height, width = first.shape
    landed, status, _ = cv2.calcOpticalFlowPyrLK(
        first, second, begin[:, None], finish[:, None].copy(), winSize=(_WINDOW, _WINDOW), maxLevel=0, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    moved = (landed[:, 0].astype(np.float64) - finish) * (RASTER / np.array([width, height]))
    usable = (status[:, 0] > 0) & (np.linalg.norm(moved, axis=-1) <= _FARTHEST_PX)
    return np.where(usable[:, None], moved, 0.0)
