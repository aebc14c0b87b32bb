"""Motion of tracks: speed, sudden moves, and distance to the border."""

import numpy as np

from pipeline.audit.tracks.inputs import lengths, max_where, median_where, min_where
from pipeline.metrics.tapvid_counts import RASTER, to_raster
from pipeline.records.labels import TrackLabels

_MIN_CROWD = 8  # tracks whose median is the camera's shake rather than one of themselves
_MIN_STEPS = 4


def median_speed(labels: TrackLabels, *, height: int, width: int) -> np.ndarray:
    """Median length of a track's steps between neighbouring visible frames, pixels of the raster; float32 "N", NaN without such a step.

    Args:
        labels: in pixels of a `height` x `width` image.
    """
    if len(labels.visibility) < 2:
        return np.full(labels.visibility.shape[1], np.nan, np.float32)
    steps = np.linalg.norm(np.diff(to_raster(labels.tracks_px, height, width), axis=0), axis=-1)
    return median_where(steps, labels.visibility[1:] & labels.visibility[:-1]).astype(np.float32)


def accel_max(tracks: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Largest acceleration of each track, relative to the clip's speed; float64 "N".

    max over t of |a[t, i] - median_j a[t, j]| / (1 + s), a[t] = P[t+1] - 2 P[t] + P[t-1] over runs of three visible frames, and s the
    median step of the clip. The median over the tracks, the camera's shake, is taken off where at least 8 tracks give it.

    Args:
        tracks: "T N 2", pixels of the raster. visibility: bool "T N".
    """
    if len(tracks) < 3:
        return np.full(visibility.shape[1], np.nan)
    whole = visibility[2:] & visibility[1:-1] & visibility[:-2]
    acceleration = tracks[2:] - 2 * tracks[1:-1]
    acceleration += tracks[:-2]
    for axis in (0, 1):  # one after the other, for the memory
        shake = median_where(acceleration[..., axis].T, whole.T, at_least=_MIN_CROWD)
        acceleration[..., axis] -= np.nan_to_num(shake, nan=0.0)[:, None]
    size = lengths(acceleration)
    steps, counted = _steps(tracks, visibility)
    speed = np.median(steps[counted]) if counted.any() else 0.0
    return max_where(size, whole) / (1 + speed)


def jump(tracks: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """A track's largest step against its others; float64 "N", NaN below 4 steps.

    (max step - median step) / (1.4826 MAD + 0.5 px), over steps between neighbouring visible frames. The median is taken off so
    that a point in fast even motion does not count as jumping.

    Args:
        tracks: "T N 2", pixels of the raster. visibility: bool "T N".
    """
    steps, counted = _steps(tracks, visibility)
    usual = median_where(steps, counted, at_least=_MIN_STEPS)
    spread = median_where(np.abs(steps - np.nan_to_num(usual)), counted, at_least=_MIN_STEPS)
    return (max_where(steps, counted, at_least=_MIN_STEPS) - usual) / (1.4826 * spread + 0.5)


def border_min(tracks: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Least distance of each track from the image's border over its visible frames; float64 "N", pixels of the raster.

    min over t of min(x, y, 255 - x, 255 - y). Near the border a patch is half unseen, and points leave.

    Args:
        tracks: "T N 2", pixels of the raster. visibility: bool "T N".
    """
    inwards = np.minimum(tracks, RASTER - 1 - tracks).min(axis=-1)
    return min_where(inwards, visibility)


def _steps(tracks: np.ndarray, visibility: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the steps, "T-1 N", and whether both ends are visible."""
    return lengths(np.diff(tracks, axis=0)), visibility[1:] & visibility[:-1]
