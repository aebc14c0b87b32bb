"""Where points came from, as lines of the last frames."""

from collections.abc import Sequence

import numpy as np


def tail_length(seen: np.ndarray, *, most: int, bytes_per_point: int, budget: int) -> int:
    """Frames that a tail reaches back, at most `most`, so that the tails of all frames fit the budget in bytes; at least 1.

    Args:
        seen: bool "T N".
    """
    points = int(seen.sum())
    return max(1, min(most, budget // max(1, points * bytes_per_point) - 1))


def tails(points: np.ndarray, seen: np.ndarray, t: int, length: int) -> tuple[Sequence[np.ndarray], np.ndarray]:
    """Lines of the points that are seen in frame `t` and the one before, back to where they were last not seen.

    Args:
        points: float32 "T N D".
        seen: bool "T N".
        length: frames that a line reaches back at most.
    Returns: the lines, "k D" each with 2 <= k <= length + 1, oldest point first; and the tracks that they are of, int64 "n".
    """
    first = max(0, t - length)
    window = seen[first : t + 1][::-1]
    runs = np.minimum.accumulate(window, axis=0).sum(axis=0)  # frames seen without a gap, back from t
    tracks = np.flatnonzero(runs >= 2)
    return [points[t + 1 - runs[n] : t + 1, n] for n in tracks], tracks
