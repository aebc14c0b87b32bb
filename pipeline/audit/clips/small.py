"""Frames at the size at which clips are screened (long side 256, never enlarged), statistics of their pixels, and of unknown values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.records import ClipRecord
from pipeline.video.open import to_rgb
from pipeline.video.reader import VideoData, decode_clip

SMALL_SIDE = 256  # pixels
_THUMB = (32, 24)  # (width, height)
_DENOISE_PX = 1.5  # sigma: takes the noise of a sensor or an encoder out of the difference of two frames


def known_median(values: Sequence[float] | np.ndarray) -> float:
    """Median of the known values."""
    known = _known(values)
    return float(np.median(known)) if len(known) else float("nan")


def known_mean(values: Sequence[float] | np.ndarray) -> float:
    """Mean of the known values."""
    known = _known(values)
    return float(known.mean()) if len(known) else float("nan")


def known_min(values: Sequence[float] | np.ndarray) -> float:
    """Smallest of the known values."""
    known = _known(values)
    return float(known.min()) if len(known) else float("nan")


def known_max(values: Sequence[float] | np.ndarray) -> float:
    """Largest of the known values."""
    known = _known(values)
    return float(known.max()) if len(known) else float("nan")


def _known(values: Sequence[float] | np.ndarray) -> np.ndarray:
    array = np.asarray(values, np.float64).ravel()
    return array[np.isfinite(array)]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SmallFrame:
    """One frame as the measures see it."""

    rgb: np.ndarray  # uint8 "H W 3"
    grey: np.ndarray  # uint8 "H W"
    smooth: np.ndarray  # float32 "H W": grey without noise
    thumb: np.ndarray  # float32 "24 32": grey

    @property
    def to_raster(self) -> float:
        """Factor from distances in this frame's pixels to those at a long side of 256."""
        return SMALL_SIDE / max(self.grey.shape)


def small_size(height: int, width: int) -> tuple[int, int]:
    """(H, W) shrunk to a long side of 256; as it is where it is smaller."""
    scale = min(1.0, SMALL_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrink(frame: np.ndarray) -> SmallFrame:
    """A frame, uint8 "H W 3" of any size, made small by area averaging."""
    height, width = small_size(*frame.shape[:2])
    rgb = frame if frame.shape[:2] == (height, width) else cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    as_float = grey.astype(np.float32)
    return SmallFrame(
        rgb=rgb,
        grey=grey,
        smooth=cv2.GaussianBlur(as_float, (0, 0), _DENOISE_PX),
        thumb=cv2.resize(as_float, _THUMB, interpolation=cv2.INTER_AREA),
    )


@dataclass(frozen=True, slots=True, eq=False)
class SmallClip:
    """A FrameReader over a stored clip, shrunk while its colours are converted: the full picture is never made."""

    data: VideoData
    record: ClipRecord
    threads: int = 1  # of the decoder

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W) of the small frames."""
        return self.record.frames, *small_size(self.record.height, self.record.width)

    def __iter__(self) -> Iterator[np.ndarray]:
        size = small_size(self.record.height, self.record.width)
        for frame in decode_clip(self.data, self.record, threads=self.threads):
            yield to_rgb(frame, size)


class PixelStatistics:
    """Mean and standard deviation over time of every pixel, and the largest mean of every row and column."""

    def __init__(self, height: int, width: int) -> None:
        self.num_frames = 0
        self._sum = np.zeros((height, width), np.float64)
        self._sum_of_squares = np.zeros((height, width), np.float64)
        self.row_max = np.zeros(height)  # over time, of a row's mean
        self.column_max = np.zeros(width)

    def add(self, grey: np.ndarray) -> None:
        """One more frame, uint8 "H W"."""
        values = grey.astype(np.float64)
        self.num_frames += 1
        self._sum += values
        self._sum_of_squares += values * values
        np.maximum(self.row_max, values.mean(axis=1), out=self.row_max)
        np.maximum(self.column_max, values.mean(axis=0), out=self.column_max)

    def mean(self) -> np.ndarray:
        """float64 "H W"; of at least one frame."""
        return np.divide(self._sum, self.num_frames)

    def std(self) -> np.ndarray:
        """float64 "H W": over time. Sums of squares of whole numbers are exact, so a pixel that never changes gives 0."""
        variance = (self.num_frames * self._sum_of_squares - self._sum**2) / self.num_frames**2
        return np.sqrt(np.maximum(variance, 0.0))
