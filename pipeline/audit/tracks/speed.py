"""How fast tracks move: no sign of a bad one, but what a trustworthy set must not lose."""

import numpy as np

from pipeline.audit.tracks.masked import median_where
from pipeline.raster import to_raster
from pipeline.records.labels import TrackLabels


def median_speed(labels: TrackLabels, *, height: int, width: int) -> np.ndarray:
    """Median length of a track's steps between neighbouring visible frames, pixels of the raster; float32 "N", NaN without such a step.

    Args:
        labels: in pixels of a `height` x `width` image.
    """
    if len(labels.visibility) < 2:
        return np.full(labels.visibility.shape[1], np.nan, np.float32)
    steps = np.linalg.norm(np.diff(to_raster(labels.tracks_px, height, width), axis=0), axis=-1)
    return median_where(steps, labels.visibility[1:] & labels.visibility[:-1]).astype(np.float32)
