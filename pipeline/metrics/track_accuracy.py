"""Measures of 2D tracks on Dynamic Replica and PointOdyssey: accuracy where visible, where hidden, and survival."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import DataError
from pipeline.metrics.tapvid_counts import THRESHOLDS_PX, ratio
from pipeline.records.arrays import Bools, Floats

LOST_PX = 50  # a visible point further away than this ends its track


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackAccuracy:
    """Shares in [0, 1] of one video: means over the thresholds; NaN where undefined, with the reason."""

    accuracy: float  # points nearer than the threshold, seen or not
    accuracy_visible: float
    accuracy_occluded: float
    survival: float  # mean share of frames before a track is lost
    by_threshold: Mapping[int, float]  # of `accuracy`
    undefined: Mapping[str, str] = field(default_factory=dict)


def track_accuracy(tracks_px: Floats, true_tracks_px: Floats, *, true_visibility: Bools, height: int, width: int) -> TrackAccuracy:
    """Accuracy in the frames after each track's first visible one, and survival over all frames.

    Args:
        tracks_px, true_tracks_px: "T N 2" in pixels of the `height` x `width` image; distances are divided by (W-1)/255, (H-1)/255.
        true_visibility: bool "T N". A track that is never seen counts from frame 1 on.
    Raises: DataError if shapes disagree, or the image is one pixel high or wide.
    Source: facebookresearch/co-tracker, evaluation of Dynamic Replica.
    """
    if tracks_px.shape != true_tracks_px.shape or true_tracks_px.shape != (*true_visibility.shape, 2) or min(height, width) < 2:
        raise DataError(
            f"tracks are {list(tracks_px.shape)}, true tracks {list(true_tracks_px.shape)}, visibility {list(true_visibility.shape)} in"
            f" {height} x {width} pixels; expected [T, N, 2], the same, [T, N], and an image of at least 2 x 2"
        )
    visible = true_visibility.astype(bool)
    per_raster_px = np.array([(width - 1) / 255, (height - 1) / 255])
    distance = np.linalg.norm((tracks_px.astype(np.float64) - true_tracks_px) / per_raster_px, axis=-1)
    first_seen = np.argmax(visible, axis=0) if len(visible) else np.zeros(visible.shape[1], np.int64)
    after = np.arange(len(visible))[:, None] > first_seen
    within = np.stack([distance < threshold for threshold in THRESHOLDS_PX])
    shares = {
        name: ratio((within & where).sum(axis=(1, 2)), np.full(len(THRESHOLDS_PX), where.sum()))
        for name, where in (("accuracy", after), ("accuracy_visible", after & visible), ("accuracy_occluded", after & ~visible))
    }
    alive = np.cumprod(~((distance > LOST_PX) & visible), axis=0)
    values = {name: float(share.mean()) for name, share in shares.items()} | {"survival": float(alive.mean()) if alive.size else np.nan}
    return TrackAccuracy(
        **values,
        by_threshold=dict(zip(THRESHOLDS_PX, shares["accuracy"].tolist(), strict=True)),
        undefined={name: "there is no such point in the frames evaluated" for name, value in values.items() if np.isnan(value)},
    )
