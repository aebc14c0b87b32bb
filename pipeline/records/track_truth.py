"""The true 2D tracks of one stored clip: what labels are measured against, and where queries may be taken from."""

from dataclasses import dataclass

import numpy as np

from pipeline.records.arrays import check_array, check_finite


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackTruth:
    """N points over the T frames of one clip, in pixels of the stored clip (integer = pixel centre)."""

    tracks_px: np.ndarray  # float32 "T N 2"  (x, y)
    visibility: np.ndarray  # bool "T N"
    valid: np.ndarray  # bool "T N": the position can be used; where not, nothing is known of the point
    query_frame: np.ndarray  # int32 "N": where the track begins

    def __post_init__(self) -> None:
        size = self.tracks_px.shape[:2]
        check_array("tracks2d", self.tracks_px, "float32", (*size, 2))
        check_array("visibility", self.visibility, "bool", size)
        check_array("track_valid", self.valid, "bool", size)
        check_array("query_frame", self.query_frame, "int32", size[1:])
        check_finite("tracks2d", self.tracks_px)

    @property
    def seen(self) -> np.ndarray:
        """bool "T N": visible at a position that can be used."""
        return np.logical_and(self.visibility, self.valid)

    def chosen(self, tracks: np.ndarray) -> "TrackTruth":
        """The truth of some of the tracks: "n" indices, in this order."""
        return TrackTruth(
            tracks_px=self.tracks_px[:, tracks],
            visibility=self.visibility[:, tracks],
            valid=self.valid[:, tracks],
            query_frame=self.query_frame[tracks],
        )
