"""Two models on the same clips: the mean difference, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError

_RESAMPLINGS = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedDifference:
    """Second minus first, over the clips in which both are defined; NaN where there is none."""

    mean: float
    low: float  # 95 % interval of the mean, by resampling clips
    high: float
    relative: float  # of the mean of the first: -0.34 is 34 % lower
    num_pairs: int


def paired_difference(first: Sequence[float], second: Sequence[float], *, seed: int = 0) -> PairedDifference:
    """Compare two lists of one value a clip (or a seed), NaN where undefined.

    The interval is the percentile bootstrap over pairs: it speaks of other clips like these, not of other runs of training.
    Raises: DataError if the lists differ in length.
    """
    before, after = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if before.ndim != 1 or before.shape != after.shape:
        raise DataError(f"{list(before.shape)} values against {list(after.shape)}; compare two models on the same clips")
    both = ~(np.isnan(before) | np.isnan(after))
    before, after = before[both], after[both]
    if not len(before):
        return PairedDifference(mean=np.nan, low=np.nan, high=np.nan, relative=np.nan, num_pairs=0)
    difference = after - before
    rng = np.random.default_rng(seed)
    means = difference[rng.integers(len(difference), size=(_RESAMPLINGS, len(difference)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    base = float(before.mean())
    return PairedDifference(
        mean=float(difference.mean()),
        low=float(low),
        high=float(high),
        relative=float(difference.mean() / base) if base else np.nan,
        num_pairs=len(difference),
    )
