"""Means over videos or sequences that leave out undefined values and say how many they left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.records.arrays import Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class DefinedMean:
    """The mean of the values that are defined; NaN where none is."""

    value: float
    num_defined: int
    num_dropped: int  # values that were NaN, or weighed nothing


def defined_mean(values: Sequence[float] | Floats, weights: Sequence[float] | Floats | None = None) -> DefinedMean:
    """Mean over the values that are not NaN.

    Args:
        values: "S", one per video or sequence; NaN marks an undefined one.
        weights: "S", not negative (depth weighs a sequence by its valid pixels); None weighs all alike.
    Raises: DataError if lengths disagree or a weight is negative or not finite.
    """
    array = np.asarray(values, np.float64)
    weight = np.ones(array.shape) if weights is None else np.asarray(weights, np.float64)
    if array.ndim != 1 or weight.shape != array.shape or not (np.isfinite(weight) & (weight >= 0)).all():
        raise DataError(
            f"values are {list(array.shape)}, weights {list(weight.shape)}; expected two lists of one length, weights finite and >= 0"
        )
    counted = ~np.isnan(array) & (weight > 0)
    value = float(np.average(array[counted], weights=weight[counted])) if counted.any() else np.nan
    return DefinedMean(value=value, num_defined=int(counted.sum()), num_dropped=int((~counted).sum()))
