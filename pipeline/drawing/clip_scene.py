"""Everything that a viewer can show of one clip, as a record."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.records import ClipSample, TrackLabels
from pipeline.records.arrays import check_array


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipScene:
    """T frames with N tracks to look at, and with the cameras, depth and points in space that are known."""

    sample: ClipSample  # frames and times; cameras, depth and 3D tracks where the clip has them. Its 2D tracks are not shown
    report: str  # Markdown: what a person should know of the clip
    labels: TrackLabels | None = None  # 2D tracks of these frames
    colours: np.ndarray | None = None  # uint8 "N 3", RGB: comes with labels
    weights: np.ndarray | None = None  # float32 "N", from an audit
    ncc: np.ndarray | None = None  # float32 "T N": likeness to the query's patch, from an audit; NaN where unknown

    def __post_init__(self) -> None:
        if (self.labels is None) != (self.colours is None):
            raise DataError(f"clip {self.sample.key}: labels and colours of the tracks come together: one of them is missing")
        if self.labels is None or self.colours is None:
            return
        num_frames, num_tracks = self.labels.visibility.shape
        if num_frames != len(self.sample.frames):
            raise DataError(
                f"clip {self.sample.key}: {len(self.sample.frames)} frames, labels of {num_frames}; show it with its own labels"
            )
        check_array("colours", self.colours, "uint8", (num_tracks, 3))
        if self.weights is not None:
            check_array("weights", self.weights, "float32", (num_tracks,))
        if self.ncc is not None:
            check_array("ncc", self.ncc, "float32", (num_frames, num_tracks))
