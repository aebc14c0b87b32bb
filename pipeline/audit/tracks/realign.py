"""Does the picture agree with each step of a track? What it says otherwise is added up along the track, as drift does."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.audit.tracks.frame_pass import numbered
from pipeline.audit.tracks.masked import max_where, mean_where
from pipeline.audit.tracks.query_frames import query_frames
from pipeline.raster import RASTER
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
    for frame, image in numbered(labels, grey):
        drift.add(frame, image)
    return drift.realignment()


class RealignmentPass:
    """`realignment`, while the frames go by. The last five are held."""

    def __init__(self, labels: TrackLabels) -> None:
        self._labels, self._asked = labels, query_frames(labels)
        self._frames: deque[np.ndarray] = deque(maxlen=_LONG + 1)  # without noise, the latest last
        self._moved = {gap: np.full((*labels.visibility.shape, 2), np.nan) for gap in (_SHORT, _LONG)}  # d, where the step ends

    def add(self, frame: int, image: np.ndarray) -> None:
        """The next frame, grey uint8 "H W"."""
        self._frames.append(cv2.GaussianBlur(image, (0, 0), _BLUR_PX))
        for gap, moved in self._moved.items():
            if frame >= gap:
                before, now = self._frames[-1 - gap], self._frames[-1]
                self._step(moved, frame - gap, frame, (before, now))
                self._step(moved, frame, frame - gap, (now, before))

    def _step(self, moved: np.ndarray, start: int, end: int, pictures: tuple[np.ndarray, np.ndarray]) -> None:
        """The tracks' own step from one frame to another, away from their queries, followed anew."""
        labels, asked, step = self._labels, self._asked, end - start
        due = ((start - asked) % abs(step) == 0) & ((start - asked) * step >= 0)
        here = np.flatnonzero(due & labels.visibility[start] & labels.visibility[end])
        if len(here):
            begin = np.where((asked[here] == start)[:, None], labels.queries[here, 1:], labels.tracks_px[start, here])
            moved[end, here] = _mended(*pictures, begin, labels.tracks_px[end, here])

    def realignment(self) -> Realignment:
        """Everything, at the end."""
        values: dict[str, np.ndarray] = {}
        for name, gap in (("realign", _SHORT), ("realign_long", _LONG)):
            drift = _drift(self._moved[gap], self._asked)
            known = ~np.isnan(drift)
            values |= {f"{name}_mean": mean_where(drift, known), f"{name}_max": max_where(drift, known)}
        return Realignment(**{name: value.astype(np.float32) for name, value in values.items()})


def _drift(moved: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """|c| in the frames reached, float64 "T N", NaN elsewhere: what steps that end in them add up to, away from each query.

    Args:
        moved: float64 "T N 2", NaN where no step ends. A frame after a track's query ends a step forwards, one before it backwards.
    """
    num_frames, num_tracks, _ = moved.shape
    drift = np.full((num_frames, num_tracks), np.nan)
    for sign in (1, -1):
        gathered = np.zeros((num_tracks, 2))
        for end in range(num_frames)[::sign]:
            here = np.flatnonzero(~np.isnan(moved[end, :, 0]) & ((end - asked) * sign > 0))
            gathered[here] += moved[end, here]
            drift[end, here] = np.linalg.norm(gathered[here], axis=-1)
    return drift


def _mended(first: np.ndarray, second: np.ndarray, begin: np.ndarray, finish: np.ndarray) -> np.ndarray:
    """By how much each step's end should be elsewhere, pixels of the raster, float64 "M 2"; 0 where that cannot be told."""
    height, width = first.shape
    landed, status, _ = cv2.calcOpticalFlowPyrLK(
        first, second, begin[:, None], finish[:, None].copy(), winSize=(_WINDOW, _WINDOW), maxLevel=0, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    moved = (landed[:, 0].astype(np.float64) - finish) * (RASTER / np.array([width, height]))
    usable = (status[:, 0] > 0) & (np.linalg.norm(moved, axis=-1) <= _FARTHEST_PX)
    return np.where(usable[:, None], moved, 0.0)
