"""Which true tracks a model is asked for."""

from dataclasses import dataclass

import numpy as np

from pipeline.records import ClipSample
from pipeline.records.pixel_transforms import resize_points


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ChosenTracks:
    """N true tracks that are seen in the first frame."""

    index: np.ndarray  # int64 "N": rows of the sample's tracks
    queries: np.ndarray  # float32 "N 2", (x, y) in pixels of the first frame as the model sees it


def choose_tracks(sample: ClipSample, size: tuple[int, int], *, at_most: int) -> ChosenTracks | None:
    """The true tracks to ask for; None where the clip has none in space, or none is known and seen within its first frame.

    Args:
        size: (H, W) of the frames as the model sees them.
        at_most: more tracks than these are thinned evenly, in their order.
    """
    if sample.tracks3d is None or sample.tracks2d is None or sample.visibility is None:
        return None
    height, width = sample.frames.shape[1:3]
    x, y = sample.tracks2d[0].T
    known = sample.visibility[0] if sample.track_valid is None else sample.visibility[0] & sample.track_valid[0]
    index = np.flatnonzero(known & (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5))
    if not len(index):
        return None
    if len(index) > at_most:
        index = index[np.linspace(0, len(index) - 1, at_most).round().astype(np.int64)]
    return ChosenTracks(index=index, queries=resize_points(sample.tracks2d[0, index], (height, width), size))
