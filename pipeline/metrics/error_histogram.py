"""Errors of any number of clips in bounded memory: a histogram for each age of a track."""

import numpy as np

from pipeline.metrics.label_comparison import LabelComparison

_PER_OCTAVE = 64  # bins; a quantile is exact to half a bin, 0.5 %
_LOWEST, _HIGHEST = -8, 13  # powers of two, in pixels: what lies outside counts as at the end
_BINS = (_HIGHEST - _LOWEST) * _PER_OCTAVE


class ErrorHistogram:
    """Distances between labels and truth, in pixels of the raster, by frames from the query (before and after it alike)."""

    def __init__(self) -> None:
        self._counts = np.zeros((1, _BINS), np.int64)  # by age, by bin

    def add(self, comparison: LabelComparison) -> None:
        """Count every point whose distance is measured."""
        ages = np.abs(comparison.age[comparison.measured])
        with np.errstate(divide="ignore"):  # log2(0) is the lowest bin
            octaves = np.log2(comparison.distance_px[comparison.measured]) - _LOWEST
        bins = np.clip(np.floor(octaves * _PER_OCTAVE), 0, _BINS - 1).astype(np.int64)
        grow = int(ages.max(initial=0)) + 1 - len(self._counts)
        if grow > 0:
            self._counts = np.pad(self._counts, ((0, grow), (0, 0)))
        np.add.at(self._counts, (ages, bins), 1)

    @property
    def num_points(self) -> np.ndarray:
        """int64 "A": points of each age; age 0 is the query itself."""
        return np.asarray(self._counts.sum(axis=1))

    def quantile(self, share: float) -> float:
        """Of all points together; NaN if there is none."""
        return float(_quantiles(self._counts.sum(axis=0, keepdims=True), share)[0])

    def quantile_by_age(self, share: float) -> np.ndarray:
        """float64 "A"; NaN where there is no point of this age."""
        return _quantiles(self._counts, share)


def _quantiles(counts: np.ndarray, share: float) -> np.ndarray:
    """The middle, in the logarithm, of the bin in which the quantile lies, for each row of counts "R B"."""
    cumulative = counts.cumsum(axis=1)
    total = cumulative[:, -1]
    bins = (cumulative < np.maximum(share * total, 1)[:, None]).sum(axis=1)
    return np.where(total > 0, 2.0 ** (_LOWEST + (bins + 0.5) / _PER_OCTAVE), np.nan)
