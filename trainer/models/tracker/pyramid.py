"""Points and features at several resolutions, each half of the one before."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import DataError

_SMALLEST = 1e-6  # spread of depth


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Level:
    """One resolution (h, w) of B clips of T frames; cells row by row."""

    size: tuple[int, int]
    points: Tensor  # "BT hw 3", in each frame's box
    relief: Tensor  # "BT hw 4": points, and their depth by its mean and sample deviation within the frame
    depth_mean: Tensor  # "BT 1 1"
    depth_spread: Tensor  # "BT 1 1"
    features: Tensor  # "BT hw C"

    def with_relief(self, points: Tensor) -> Tensor:
        """Append to points "BT Q 3" of the box their depth by this level's statistics."""
        return torch.cat([points, (points[..., 2:] - self.depth_mean) / self.depth_spread], dim=-1)


def build_pyramid(points: Tensor, features: Tensor, *, num_levels: int, num_neighbours: int) -> list[Level]:
    """Levels from fine to coarse: every second point (the later of two), means of 2 x 2 features; odd rests are cut.

    Args:
        points: "BT 3 h w", in each frame's box.
        features: "BT C h w".
        num_neighbours: the fewest cells that the coarsest level may have.
    Raises: DataError where it would have fewer.
    """
    check_map_size((points.shape[-2], points.shape[-1]), num_levels, num_neighbours)
    levels = [_level(points, features)]
    for _ in range(1, num_levels):
        points = F.interpolate(points, scale_factor=0.5, mode="nearest-exact")
        features = F.avg_pool2d(features, kernel_size=2, stride=2)
        levels.append(_level(points, features))
    return levels


def check_map_size(size: tuple[int, int], num_levels: int, num_neighbours: int) -> None:
    """Raise DataError where the coarsest level of maps of (h, w) would have fewer cells than neighbours are searched."""
    rows, columns = (side >> (num_levels - 1) for side in size)
    if rows * columns < num_neighbours:
        raise DataError(
            f"images are too small for the tracker: of {size[0]} x {size[1]} feature cells the coarsest of {num_levels} levels keeps"
            f" {rows} x {columns}, fewer than its {num_neighbours} neighbours; use larger images"
        )


def _level(points: Tensor, features: Tensor) -> Level:
    cells = points.flatten(2).transpose(1, 2)
    depth = cells[..., 2:]
    mean, spread = depth.mean(dim=1, keepdim=True), depth.std(dim=1, keepdim=True).clamp_min(_SMALLEST)
    return Level(
        size=(points.shape[-2], points.shape[-1]),
        points=cells,
        relief=torch.cat([cells, (depth - mean) / spread], dim=-1),
        depth_mean=mean,
        depth_spread=spread,
        features=features.flatten(2).transpose(1, 2),
    )
