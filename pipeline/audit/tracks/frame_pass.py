"""Going through the frames of a clip once, one at a time: no measure may hold more of them than its own few."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from pipeline.errors import DataError
from pipeline.records import FrameReader, TrackLabels

ClipPictures = np.ndarray | FrameReader
"""A clip's frames: grey in memory, uint8 "T H W", or a reader of RGB frames."""


def numbered(labels: TrackLabels, frames: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
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
