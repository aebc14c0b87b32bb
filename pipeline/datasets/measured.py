"""A figure, and what it rests on."""

from dataclasses import dataclass

import numpy as np

FEWEST = 20  # a median of fewer values is no evidence


@dataclass(frozen=True, slots=True)
class Measured:
    """What a check measures."""

    figure: float
    samples: int


def median_of(values: np.ndarray, *, fewest: int = FEWEST) -> Measured | None:
    """The median of all values, or None if they are too few."""
    return Measured(float(np.median(values)), int(values.size)) if values.size >= fewest else None
