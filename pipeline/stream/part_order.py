"""Which dataset of a mixture comes at each place: a pure function of the weights, the seed and the place.

Places are dealt to the datasets by the golden-ratio sequence, which keeps the share of every stretch of n places within about
log(n) / n of the weights. It is regular, though: readers that take every W-th place might get one dataset for long. So places
are mixed within blocks before they are dealt.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.stream.order import permutation

_BLOCK = 64
_PART = 2**32 - 2  # keeps these draws apart from those of the order and of the windows
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # (sqrt(5) - 1) / 2 of the 64-bit circle


@dataclass(frozen=True, kw_only=True, slots=True)
class PartOrder:
    """The datasets 0, 1, ... in proportion to their weights, which need not sum to 1."""

    weights: tuple[float, ...]
    seed: int

    def parts(self, first: int, end: int) -> np.ndarray:
        """Datasets at the places [first, end), int64 "N"."""
        if end <= first:
            return np.zeros(0, np.int64)
        numbers = range(first // _BLOCK, (end - 1) // _BLOCK + 1)
        return np.concatenate([self._block(number) for number in numbers])[first - numbers[0] * _BLOCK :][: end - first]

    def parts_from(self, first: int) -> Iterator[int]:
        """Datasets at place `first` and all after it, without end."""
        while True:
            end = (first // _BLOCK + 1) * _BLOCK
            yield from self.parts(first, end).tolist()
            first = end

    def _block(self, number: int) -> np.ndarray:
        places = number * _BLOCK + permutation(_BLOCK, self.seed, _PART, number)
        start = np.random.PCG64(np.random.SeedSequence([self.seed, _PART])).random_raw(1)
        where = start + places.astype(np.uint64) * _GOLDEN  # modulo 2^64: on the circle
        shares = np.cumsum(self.weights)
        bounds = np.array([min(int(share / shares[-1] * 2**64), 2**64 - 1) for share in shares[:-1]], np.uint64)
        return np.searchsorted(bounds, where, side="right").astype(np.int64)
