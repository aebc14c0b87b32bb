"""Each frame's own coordinates: its points' mean and three standard deviations become the box [-1, 1]^3."""

from dataclasses import dataclass

from torch import Tensor

_SMALLEST = 1e-6  # spread and size


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Boxes:
    """One box per frame, another scale for each coordinate."""

    low: Tensor  # "B T 3"
    size: Tensor  # "B T 3"

    def normalised(self, points: Tensor) -> Tensor:
        """Points "B T K 3" of each frame's camera to its box."""
        return 2 * (points - self.low[:, :, None]) / self.size[:, :, None] - 1

    def denormalised(self, coordinates: Tensor) -> Tensor:
        """Box coordinates "B T K 3" to points of each frame's camera."""
        return (coordinates + 1) / 2 * self.size[:, :, None] + self.low[:, :, None]


def boxes_of(points: Tensor) -> Boxes:
    """Boxes around the points of each frame, "B T K 3", by sample standard deviation. Gradient flows to the points."""
    mean, spread = points.mean(dim=2), points.std(dim=2).clamp_min(_SMALLEST)
    low = mean - 3 * spread
    return Boxes(low=low, size=(mean + 3 * spread - low).clamp_min(_SMALLEST))
