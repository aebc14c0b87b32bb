"""Visibility of a chain's points by a logistic fit on what the chain says of itself."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labelers.chain import inside_image
from labelers.chain_trace import ChainTrace, TracedLabels

RASTER = 256  # a side of the image that speed is measured on, in pixels
CLUES = (
    "strain",
    "last link's strain",
    "round trip, px",
    "links",
    "frames since a direct link",
    "hidden frames",
    "frames since the query",
    "speed",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VisibilityFit:
    """A point is visible inside the image where 1 / (1 + exp(-weights . (clues - mean) / scale - bias)) is above the threshold.

    It is visible at its query, too.
    """

    mean: npt.NDArray[np.float64]  # "C", by CLUES
    scale: npt.NDArray[np.float64]  # "C"
    weights: npt.NDArray[np.float64]  # "C"
    bias: float
    threshold: float

    def probability(self, clues: np.ndarray) -> np.ndarray:
        """Of clues "... C", float64."""
        logits = ((clues - self.mean) / self.scale) @ self.weights + self.bias
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))

    def visibility(self, traced: TracedLabels, size: tuple[int, int]) -> np.ndarray:
        """Of a clip's points, bool "T N", whatever the labels say; `size` is (height, width)."""
        tracks, trace = traced.labels.tracks_px, traced.trace
        at_query = np.arange(len(tracks))[:, None] == trace.query_frame
        return at_query | (inside_image(tracks, size) & (self.probability(clues_of(traced, size)) > self.threshold))


def clues_of(traced: TracedLabels, size: tuple[int, int]) -> np.ndarray:
    """CLUES as logarithms of 1 + x, float32 "T N C"; strains and round trip are taken ten times.

    The speed is that of the step from the neighbouring frame on the query's side, in pixels of a raster of RASTER x RASTER.

    Args:
        size: (height, width) of the frames.
    """
    trace = traced.trace
    after = np.arange(len(trace.strain))[:, None] - trace.query_frame
    parts = [
        10 * trace.strain,
        10 * trace.link_strain,
        10 * trace.missed_px,
        trace.num_links,
        trace.since_direct,
        trace.hidden_frames,
        np.abs(after),
        _speed(traced.labels.tracks_px * (RASTER / np.array(size[::-1], np.float32)), trace),
    ]
    assert len(parts) == len(CLUES), "every clue has a name"
    return np.log1p(np.stack(parts, axis=-1)).astype(np.float32)


def _speed(tracks: np.ndarray, trace: ChainTrace) -> np.ndarray:
    """Length of the last step from the query's side, "T N"; 0 at the query."""
    steps = np.linalg.norm(np.diff(tracks, axis=0), axis=-1)
    frames, query = np.arange(len(tracks))[:, None], trace.query_frame
    rest = np.zeros((1, len(query)), steps.dtype)
    forwards, backwards = np.concatenate([rest, steps]), np.concatenate([steps, rest])
    return np.where(frames > query, forwards, np.where(frames < query, backwards, 0))


# Of "visible and within 8 px of the raster", for dis-flow with links of 1, 2, 4 and 8 frames as its other options come; the threshold has
# the best mean of AJ and OA. Fitted on rendered studio, planes and wild clips by benchmarks/visibility_fit.py, judged on others there.
DIS_FLOW_JUMPS = (1, 2, 4, 8)
DIS_FLOW_FIT = VisibilityFit(
    mean=np.array([1.8363, 0.9003, 0.9721, 2.0221, 2.5064, 0.4827, 2.7708, 1.5759]),
    scale=np.array([2.563, 1.7459, 0.9065, 0.7219, 1.0324, 1.0279, 0.7984, 0.7161]),
    weights=np.array([-3.0995, 0.1813, -0.3764, -0.7879, 0.1413, 1.318, -0.2079, -0.1554]),
    bias=0.4476,
    threshold=0.25,
)
