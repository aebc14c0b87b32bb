"""Measures of a track by its visibility alone."""

from dataclasses import dataclass

import numpy as np

from pipeline.audit.tracks.inputs import inside_image, mean_where
from pipeline.records.arrays import check_array
from pipeline.records.labels import TrackLabels


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VisibilityMeasures:
    """Of N tracks; all float32 "N"."""

    len: np.ndarray  # visible frames
    cover: np.ndarray  # len / T
    longest_run: np.ndarray  # longest run of visible frames / T
    flicker: (
        np.ndarray
    )  # changes of visibility between the first and the last visible frame, per step; NaN where these span less than 3 frames
    oof: np.ndarray  # share of the visible frames whose position is outside the image; NaN if never visible
    vis_conf: np.ndarray  # mean confidence over the visible frames; NaN where labels have none

    def __post_init__(self) -> None:
        for name in ("len", "cover", "longest_run", "flicker", "oof", "vis_conf"):
            check_array(name, getattr(self, name), "float32", self.len.shape[:1])


def visibility_measures(labels: TrackLabels, *, height: int, width: int) -> VisibilityMeasures:
    """Length, coverage, flicker = changes / max(1, span - 1), points outside the image, and mean confidence.

    Args:
        labels: in pixels of a `height` x `width` image.
    """
    seen = labels.visibility
    num_frames, num_tracks = seen.shape
    count = seen.sum(axis=0)
    outside = ~inside_image(labels.tracks_px, height=height, width=width)
    known = labels.confidence if labels.confidence is not None else np.full(seen.shape, np.nan, np.float32)
    measures = {
        "len": count,
        "cover": count / max(num_frames, 1),
        "longest_run": _longest_run(seen) / max(num_frames, 1),
        "flicker": _flicker(seen),
        "oof": mean_where(outside, seen),
        "vis_conf": mean_where(known, seen),
    }
    return VisibilityMeasures(**{name: np.asarray(values).reshape(num_tracks).astype(np.float32) for name, values in measures.items()})


def _longest_run(seen: np.ndarray) -> np.ndarray:
    """Frames in the longest run of each track, int64 "N"."""
    run, longest = np.zeros(seen.shape[1], np.int64), np.zeros(seen.shape[1], np.int64)
    for row in seen:
        run = np.where(row, run + 1, 0)
        longest = np.maximum(longest, run)
    return longest


def _flicker(seen: np.ndarray) -> np.ndarray:
    if len(seen) == 0:
        return np.full(seen.shape[1], np.nan)
    first, last = np.argmax(seen, axis=0), len(seen) - 1 - np.argmax(seen[::-1], axis=0)
    after = np.arange(1, len(seen))[:, None]
    changes = ((seen[1:] != seen[:-1]) & (after > first) & (after <= last)).sum(axis=0)
    return np.where(seen.any(axis=0) & (last - first >= 2), changes / np.maximum(last - first, 1), np.nan)
