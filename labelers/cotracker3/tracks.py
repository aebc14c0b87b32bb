"""What the engine says of a clip, and the rules that make a boolean of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from labelers.options import check_choice
from pipeline.records import TrackLabels

RULES: dict[str, str] = {
    "predictor": "visibility > 0.9, the public offline predictor's rule",
    "product": "visibility x confidence > 0.6, the public online predictor's and benchmark's rule",
}
_RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "predictor": lambda visibility, confidence: visibility > 0.9,
    "product": lambda visibility, confidence: visibility * confidence > 0.6,
}


@dataclass(frozen=True, slots=True, eq=False)
class CoTracker3Tracks:
    """Tracks of N queries over the T frames of one clip, with both raw probabilities."""

    tracks_px: np.ndarray  # float32 "T N 2", (x, y) in pixels of the clip, integers at pixel centres
    visibility: np.ndarray  # float32 "T N" in [0, 1]
    confidence: np.ndarray  # float32 "T N" in [0, 1]: that the position is right

    def labels(self, queries: np.ndarray, rule: str) -> TrackLabels:
        """Labels of these queries "N 3": visible by one of RULES, and at their own query frames."""
        check_choice("visibility_rule", rule, tuple(RULES))
        visible = _RULES[rule](self.visibility, self.confidence)
        visible[queries[:, 0].astype(int), np.arange(len(queries))] = True
        return TrackLabels(
            queries=queries, tracks_px=self.tracks_px, visibility=visible, visibility_score=self.visibility, confidence=self.confidence
        )

    def through_queries(self, queries: np.ndarray) -> "CoTracker3Tracks":
        """The same, but each track passes exactly through its own query "N 3" (t, x, y)."""
        tracks_px = self.tracks_px.copy()
        tracks_px[queries[:, 0].astype(int), np.arange(len(queries))] = queries[:, 1:]
        return replace(self, tracks_px=tracks_px)

    def silent_before(self, queries: np.ndarray) -> "CoTracker3Tracks":
        """The same, but before its query frame a point rests at its query, with both probabilities 0: nothing is claimed there."""
        before = np.arange(len(self.tracks_px))[:, None] < queries[None, :, 0]
        return CoTracker3Tracks(
            np.where(before[..., None], queries[None, :, 1:], self.tracks_px).astype(np.float32),
            np.where(before, np.float32(0), self.visibility),
            np.where(before, np.float32(0), self.confidence),
        )
