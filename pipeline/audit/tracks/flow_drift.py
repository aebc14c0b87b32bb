"""Does dense optical flow agree with a track? What it says otherwise is added up along the track, as drift does."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import map_coordinates

from pipeline.audit.tracks.masked import max_where, mean_where
from pipeline.audit.tracks.query_frames import query_frames
from pipeline.raster import RASTER
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
    asked, seen = query_frames(labels), labels.visibility
    num_frames, num_tracks = seen.shape
    gathered = np.zeros((num_frames, num_tracks, 2))
    tracks = labels.tracks_px.copy()
    tracks[asked, np.arange(num_tracks)] = labels.queries[:, 1:]
    stepped = seen[1:] & seen[:-1] if min(grey.shape[1:]) >= _SHORTEST_PX else np.zeros((max(num_frames - 1, 0), num_tracks), bool)
    flow = _Flow(grey)
    for frame in range(num_frames - 1):
        here = np.flatnonzero(stepped[frame])
        gathered[frame + 1] = gathered[frame]
        if len(here):
            gathered[frame + 1, here] += flow.difference(frame, tracks[frame, here], tracks[frame + 1, here])
    drift = np.linalg.norm(gathered - gathered[asked, np.arange(num_tracks)], axis=-1)
    counts = seen & (np.arange(num_frames)[:, None] != asked) & stepped.any()
    return FlowDrift(
        flow_drift_mean=mean_where(drift, counts).astype(np.float32), flow_drift_max=max_where(drift, counts).astype(np.float32)
    )


class _Flow:
    """The flow between neighbouring frames, one pair at a time."""

    def __init__(self, grey: np.ndarray) -> None:
        self._grey = grey
        height, width = grey.shape[1:]
        scale = min(1.0, _LONGEST_PX / max(height, width))
        self._size = (max(round(width * scale), _SHORTEST_PX), max(round(height * scale), _SHORTEST_PX))
        self._scale = np.array(self._size) / (width, height)  # (x, y): of the flow's frames over the clip's
        self._to_raster = RASTER / np.array([width, height])
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._dis.setVariationalRefinementIterations(0)
        self._last: tuple[int, np.ndarray] | None = None

    def difference(self, frame: int, points: np.ndarray, landed: np.ndarray) -> np.ndarray:
        """By how much the flow moves points "M 2" of a frame elsewhere than to `landed`, pixels of the raster, float64 "M 2"."""
        flow = np.asarray(self._dis.calc(self._prepared(frame), self._prepared(frame + 1), None))  # type: ignore[call-overload]
        places = ((points + 0.5) * self._scale - 0.5).T[::-1].astype(np.float64)
        moved = np.stack([map_coordinates(flow[..., axis], places, order=1, mode="nearest") for axis in (0, 1)], axis=-1)
        found = (points + moved / self._scale - landed) * self._to_raster
        return np.where(np.linalg.norm(found, axis=-1, keepdims=True) <= _FARTHEST_PX, found, 0.0)

    def _prepared(self, frame: int) -> np.ndarray:
        """A frame at the flow's size, a little blurred; the last one is kept."""
        if self._last is None or self._last[0] != frame:
            image = self._grey[frame]
            if self._size != image.shape[::-1]:
                image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
            self._last = (frame, cv2.GaussianBlur(image, (0, 0), _BLUR_PX))
        return self._last[1]
