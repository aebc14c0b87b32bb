"""Lengths of many vectors."""

import numpy as np


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Euclidean lengths of vectors "... 2"; "...". `numpy.linalg.norm` gives the same and takes five times the memory of its result."""
    x, y = vectors[..., 0], vectors[..., 1]
    squares = x * x
    squares += y * y
    return np.asarray(np.sqrt(squares, out=squares))
