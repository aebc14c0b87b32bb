"""Does the picture agree with each step of a track? What it says otherwise is added up along the track, as drift does."""

from dataclasses import dataclass

import cv2
import numpy as np

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
    frames = [cv2.GaussianBlur(image, (0, 0), _BLUR_PX) for image in grey]
    values: dict[str, np.ndarray] = {}
    for name, gap in (("realign", _SHORT), ("realign_long", _LONG)):
        drift = _drift(labels, frames, gap)
        known = ~np.isnan(drift)
        values |= {f"{name}_mean": mean_where(drift, known), f"{name}_max": max_where(drift, known)}
    return Realignment(**{name: value.astype(np.float32) for name, value in values.items()})


def _drift(labels: TrackLabels, frames: list[np.ndarray], gap: int) -> np.ndarray:
    """|c| in the frames reached by steps of `gap` frames, float64 "T N", NaN elsewhere."""
    num_frames, num_tracks = labels.visibility.shape
    asked, drift = query_frames(labels), np.full((num_frames, num_tracks), np.nan)
    for step in (gap, -gap):
        gathered = np.zeros((num_tracks, 2))
        for start in range(num_frames) if step > 0 else range(num_frames - 1, -1, -1):
            end = start + step
            if not 0 <= end < num_frames:
                continue
            due = ((start - asked) % gap == 0) & ((start - asked) * step >= 0)
            here = np.flatnonzero(due & labels.visibility[start] & labels.visibility[end])
            if len(here):
                begin = np.where((asked[here] == start)[:, None], labels.queries[here, 1:], labels.tracks_px[start, here])
                gathered[here] += _mended(frames[start], frames[end], begin, labels.tracks_px[end, here])
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
