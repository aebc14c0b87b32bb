"""Which frames of a clip its card shows."""

import math
from dataclasses import dataclass

import numpy as np

MAX_RATE, MAX_SECONDS, NUM_STILLS = 12.0, 3.0, 4
MAX_FRAMES = int(MAX_RATE * MAX_SECONDS)


@dataclass(frozen=True, slots=True)
class ClipWindow:
    """Frames of a clip, evenly spaced, and at which rate they are shown."""

    frames: tuple[int, ...]
    rate: float  # frames shown per second


def animation_window(num_frames: int, fps: float, likeness: np.ndarray | None) -> ClipWindow:
    """At most 3 s at 12 frames per second, in real time; of a longer clip those in which the points look least like their queries.

    Args:
        likeness: float "T", NaN where unknown; without it, the first seconds.
    """
    step = max(1, math.ceil(fps / MAX_RATE - 1e-9))
    length = max(1, min(num_frames, round(MAX_SECONDS * fps), step * MAX_FRAMES))
    start = 0 if likeness is None else _least(likeness, length)
    return ClipWindow(tuple(range(start, start + length, step)), fps / step)


def still_window(num_frames: int) -> ClipWindow:
    """A few frames spread over the clip, a second each."""
    places = np.linspace(0, num_frames - 1, min(NUM_STILLS, num_frames))
    return ClipWindow(tuple(int(place) for place in np.rint(places)), 1.0)


def frame_likeness(ncc: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Mean of "T N" over the visible points of each frame, float64 "T"; NaN where nothing is known."""
    known = visibility & ~np.isnan(ncc)
    count = known.sum(axis=1)
    total = np.where(known, ncc, 0.0).sum(axis=1, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _least(likeness: np.ndarray, length: int) -> int:
    """First frame of the window of least mean; the earliest of equals, unknown frames left out."""
    known = ~np.isnan(likeness)
    sums, counts = (
        np.convolve(values, np.ones(length), mode="valid") for values in (np.where(known, likeness, 0.0), known.astype(np.float64))
    )
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    return int(np.argmin(np.round(means, 9)))
