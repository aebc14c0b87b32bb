"""What every pixel does over a clip, summed up while its frames go by: memory is that of a few frames."""

import numpy as np


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
