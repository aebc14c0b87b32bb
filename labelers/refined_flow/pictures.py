"""A clip's frames at the size that the network sees, kept while others read the clip."""

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from networks.chain_refiner import COARSE
from networks.inputs import fitted_size
from pipeline.records import FrameReader

PIXELS = 192 * 256  # of a frame that the network sees, at most: those that it learned on


class Pictures:
    """A FrameReader that keeps the frames of its last pass, each made smaller by averaging over the area of a pixel."""

    def __init__(self, reader: FrameReader) -> None:
        num_frames, height, width = reader.shape
        self._reader = reader
        self.shape = (num_frames, height, width)
        self.size = fitted_size(width / height, max(min(height * width, PIXELS), COARSE * COARSE), patch=COARSE)
        self.kept = np.zeros((num_frames, *self.size, 3), np.uint8)

    @property
    def per_pixel(self) -> np.ndarray:
        """Kept pixels per pixel of the clip, float64 (x, y)."""
        return np.array([self.size[1] / self.shape[2], self.size[0] / self.shape[1]])

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        for t, frame in enumerate(self._reader):
            if t < len(self.kept) and frame.shape == (*self.shape[1:], 3):  # who reads refuses others
                as_it_is = frame.shape == self.kept.shape[1:]
                self.kept[t] = frame if as_it_is else cv2.resize(frame, self.size[::-1], interpolation=cv2.INTER_AREA)
            yield frame

    def to_kept(self, places_px: np.ndarray) -> np.ndarray:
        """Places "... 2" of the clip in kept pixels; integers are centres."""
        return ((places_px + 0.5) * self.per_pixel - 0.5).astype(np.float32)

    def from_kept(self, places_px: np.ndarray) -> np.ndarray:
        """The way back."""
        return ((places_px + 0.5) / self.per_pixel - 0.5).astype(np.float32)
