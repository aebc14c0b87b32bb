"""Disagreement of dense optical flow with a track, added up along the track as drift adds up."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import map_coordinates

from pipeline.audit.tracks.inputs import lengths, max_where, mean_where, number_frames, query_frames
from pipeline.metrics.tapvid_counts import RASTER
from pipeline.records.arrays import check_array
from pipeline.records.labels import TrackLabels

_LONGEST_PX = 512  # side of the frames that the flow is computed on: bounds its time
_SHORTEST_PX = 16  # OpenCV needs as much
_BLUR_PX = 0.8  # sigma of a Gaussian on the frames, against noise
_FARTHEST_PX = 12.0  # of the raster: a step that differs by more has found something else, and says nothing


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FlowDrift:
    """By how much N tracks leave the flow, pixels of the raster; float32 "N", NaN where a track has no other visible frame."""

    flow_drift_mean: np.ndarray  # over the visible frames but the query's
    flow_drift_max: np.ndarray

    def __post_init__(self) -> None:
        for name in ("flow_drift_mean", "flow_drift_max"):
            check_array(name, getattr(self, name), "float32", self.flow_drift_mean.shape[:1])


def flow_drift(labels: TrackLabels, grey: np.ndarray) -> FlowDrift:
    """Compare every step of a track with the flow from its frame to the next, and add up the differences from the query on.

    With the flow f from frame t to t + 1, e(t) = P[t] + f(P[t]) - P[t + 1], and c(t) = sum of e from t_q to t - 1, or for frames before
    the query minus the sum from t to t_q - 1. The measures are mean and maximum of |c| over the visible frames. Steps with a hidden
    end add nothing, nor do those that differ by more than 12 px. The flow is DIS at OpenCV's medium preset without its variational
    refinement, on frames of at most 512 pixels; it is another opinion than a labeler's whose own flow is refined, and an
    independent one of all others. Frames below 16 pixels tell nothing.

    Args:
        grey: uint8 "T H W", in whose pixels the labels are.
    Source: Kroeger, Timofte, Dai, Van Gool, Fast Optical Flow using Dense Inverse Search, ECCV 2016, as OpenCV implements it.
    """
    drift = FlowDriftPass(labels)
    for frame, image in number_frames(labels, grey):
        drift.add(frame, image)
    return drift.flow_drift()


class FlowDriftPass:
    """`flow_drift`, while the frames go by. The last one is held."""

    def __init__(self, labels: TrackLabels) -> None:
        self._labels, self._asked, self._seen = labels, query_frames(labels), labels.visibility
        self._gathered = np.zeros(labels.tracks_px.shape)
        self._flow: _Flow | None = None
        self._stepped = False  # whether any step was compared

    def add(self, frame: int, image: np.ndarray) -> None:
        """The next frame, grey uint8 "H W"."""
        if min(image.shape) < _SHORTEST_PX:
            return
        self._flow = self._flow or _Flow(*image.shape)
        self._flow.add(image)
        if frame == 0:
            return
        self._gathered[frame] = self._gathered[frame - 1]
        here = np.flatnonzero(self._seen[frame] & self._seen[frame - 1])
        if len(here):
            self._stepped = True
            self._gathered[frame, here] += self._flow.difference(self._places(frame - 1, here), self._places(frame, here))

    def _places(self, frame: int, here: np.ndarray) -> np.ndarray:
        """Positions of tracks in a frame: in that of the query, at the query."""
        return np.where((self._asked[here] == frame)[:, None], self._labels.queries[here, 1:], self._labels.tracks_px[frame, here])

    def flow_drift(self) -> FlowDrift:
        """Results of the finished pass."""
        drift = lengths(self._gathered - self._gathered[self._asked, np.arange(len(self._asked))])
        counts = self._seen & (np.arange(len(drift))[:, None] != self._asked) & self._stepped
        return FlowDrift(
            flow_drift_mean=mean_where(drift, counts).astype(np.float32), flow_drift_max=max_where(drift, counts).astype(np.float32)
        )


class _Flow:
    """The flow from a frame to the next, at most 512 pixels wide and high."""

    def __init__(self, height: int, width: int) -> None:
        scale = min(1.0, _LONGEST_PX / max(height, width))
        self._size = (max(round(width * scale), _SHORTEST_PX), max(round(height * scale), _SHORTEST_PX))
        self._scale = np.array(self._size) / (width, height)  # (x, y): of the flow's frames over the clip's
        self._to_raster = RASTER / np.array([width, height])
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._dis.setVariationalRefinementIterations(0)
        self._pair: deque[np.ndarray] = deque(maxlen=2)  # the last two frames, at the flow's size, a little blurred

    def add(self, image: np.ndarray) -> None:
        """The next frame, grey uint8 "H W"."""
        if self._size != image.shape[::-1]:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        self._pair.append(cv2.GaussianBlur(image, (0, 0), _BLUR_PX))

    def difference(self, points: np.ndarray, landed: np.ndarray) -> np.ndarray:
        """By how much the flow moves points "M 2" of the frame before elsewhere than to `landed`, pixels of the raster, float64 "M 2"."""
        flow = np.asarray(self._dis.calc(*self._pair, None))  # type: ignore[call-overload]
        places = ((points + 0.5) * self._scale - 0.5).T[::-1].astype(np.float64)
        moved = np.stack([map_coordinates(flow[..., axis], places, order=1, mode="nearest") for axis in (0, 1)], axis=-1)
        found = (points + moved / self._scale - landed) * self._to_raster
        return np.where(np.linalg.norm(found, axis=-1, keepdims=True) <= _FARTHEST_PX, found, 0.0)
