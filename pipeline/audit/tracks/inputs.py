"""Inputs of the measures: pictures one at a time, query frames, and statistics over the entries of an array that count."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from pipeline.errors import DataError
from pipeline.records import FrameReader, TrackLabels

ClipPictures = np.ndarray | FrameReader
"""A clip's frames: grey in memory, uint8 "T H W", or a reader of RGB frames."""


def number_frames(labels: TrackLabels, frames: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """The frames with their numbers, one held at a time. Raises DataError at their end if there are not as many as the labels have."""
    expected, count = len(labels.visibility), 0
    for image in frames:
        if count == expected:
            raise DataError(f"the labels have {expected} frames, the clip more; label it again")
        yield count, image
        count += 1
    if count != expected:
        raise DataError(f"the labels have {expected} frames, the clip {count}; label it again")


def to_grey(image: np.ndarray) -> np.ndarray:
    """A frame, RGB "H W 3" or grey "H W", in grey; uint8 "H W"."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def query_frames(labels: TrackLabels) -> np.ndarray:
    """Frame index of each query, int64 "N".

    Raises: DataError if a query is not on a frame of the clip.
    """
    asked = labels.queries[:, 0]
    wrong = (asked != np.round(asked)) | (asked < 0) | (asked >= len(labels.tracks_px))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"query {first} is on frame {asked[first]:g}, expected a whole number below {len(labels.tracks_px)}, the clip's frames;"
            " label this clip again"
        )
    return np.asarray(asked.astype(np.int64))


def inside_image(tracks_px: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Whether positions "... 2" lie in the image, which covers [-0.5, width - 0.5] x [-0.5, height - 0.5]; bool "..."."""
    return np.asarray(np.all((tracks_px >= -0.5) & (tracks_px <= np.array([width, height]) - 0.5), axis=-1))


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Euclidean lengths of vectors "... 2"; "...". `numpy.linalg.norm` gives the same and takes five times the memory of its result."""
    x, y = vectors[..., 0], vectors[..., 1]
    squares = x * x
    squares += y * y
    return np.asarray(np.sqrt(squares, out=squares))


def max_where(values: np.ndarray, where: np.ndarray, *, at_least: int = 1) -> np.ndarray:
    """Largest value over axis 0 among those that count, float64; NaN where fewer than `at_least` do."""
    return _known(np.max(np.where(where, values, -np.inf), axis=0, initial=-np.inf), where, at_least)


def min_where(values: np.ndarray, where: np.ndarray, *, at_least: int = 1) -> np.ndarray:
    """Smallest value over axis 0 among those that count, float64; NaN where fewer than `at_least` do."""
    return _known(np.min(np.where(where, values, np.inf), axis=0, initial=np.inf), where, at_least)


def mean_where(values: np.ndarray, where: np.ndarray, *, at_least: int = 1) -> np.ndarray:
    """Mean over axis 0 of the values that count, float64; NaN where fewer than `at_least` do."""
    total = np.sum(np.where(where, values, 0.0), axis=0, dtype=np.float64)
    return _known(total / np.maximum(where.sum(axis=0), 1), where, at_least)


def median_where(values: np.ndarray, where: np.ndarray, *, at_least: int = 1) -> np.ndarray:
    """Median over axis 0 of the values that count, float64; NaN where fewer than `at_least` do."""
    if len(values) == 0:
        return np.full(np.shape(values)[1:], np.nan)
    ordered = np.sort(np.where(where, values, np.inf), axis=0)
    count = np.maximum(where.sum(axis=0), 1)
    low, high = (np.take_along_axis(ordered, middle[None], axis=0)[0] for middle in ((count - 1) // 2, count // 2))
    known = where.sum(axis=0) >= max(at_least, 1)
    return np.where(known, (np.where(known, low, 0.0) + np.where(known, high, 0.0)) / 2, np.nan)


def _known(values: np.ndarray, where: np.ndarray, at_least: int) -> np.ndarray:
    return np.where(where.sum(axis=0) >= max(at_least, 1), values, np.nan).astype(np.float64)
