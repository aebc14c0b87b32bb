"""Points and features of a clip at several resolutions, each half of the one before; samples of them, and nearest neighbours."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import DataError

_SMALLEST = 1e-6  # spread of depth
_BYTES_PER_PAIR = 16  # of a query and a point: a distance, and what choosing the smallest takes beside it


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


def sample_bilinear(maps: Tensor, pixels: Tensor) -> Tensor:
    """Maps "B C h w" at (x, y) "B N 2" to "B N C": integers are centres of cells, outside counts as the border."""
    return _sampled(maps, pixels, "bilinear")


def sample_nearest(maps: Tensor, pixels: Tensor) -> Tensor:
    """Maps "B C h w" at the pixels nearest to (x, y) "B N 2" to "B N C"; halves go to even pixels, as far as float32 tells."""
    return _sampled(maps, pixels, "nearest")


def _sampled(maps: Tensor, pixels: Tensor, mode: str) -> Tensor:
    last = torch.tensor([maps.shape[-1] - 1, maps.shape[-2] - 1], device=pixels.device, dtype=pixels.dtype).clamp_min(1)
    grid = (2 * pixels / last - 1)[:, :, None]
    return F.grid_sample(maps, grid, mode=mode, padding_mode="border", align_corners=True)[..., 0].transpose(1, 2)


@torch.no_grad()
def nearest_neighbours(queries: Tensor, points: Tensor, *, k: int, budget_mb: float = 256.0) -> Tensor:
    """Indices of each query's k nearest points by Euclidean distance, nearest first; between equal ones the order is torch's.

    Distances are taken from differences, not from products, whose rounding would swap near ones.

    Args:
        queries: "S Q D", of S sets.
        points: "S P D", k <= P.
        budget_mb: working memory in MiB; one query's distances to one set are held at least.
    Returns: int64 "S Q k". No gradient.
    """
    num_sets, num_queries = queries.shape[:2]
    pairs = max(points.shape[1], int(budget_mb * 2**20 / _BYTES_PER_PAIR))
    sets_at_once = max(1, min(num_sets, pairs // max(1, num_queries * points.shape[1])))
    queries_at_once = max(1, min(num_queries, pairs // points.shape[1]))
    result = torch.empty(num_sets, num_queries, k, dtype=torch.int64, device=queries.device)
    for start in range(0, num_sets, sets_at_once):
        some = slice(start, start + sets_at_once)
        for first in range(0, num_queries, queries_at_once):
            part = slice(first, first + queries_at_once)
            distances = torch.cdist(queries[some, part], points[some], compute_mode="donot_use_mm_for_euclid_dist")
            result[some, part] = distances.topk(k, dim=-1, largest=False, sorted=True).indices
    return result


def gather_rows(rows: Tensor, index: Tensor) -> Tensor:
    """Rows "S P C" at indices "S Q k" to "S Q k C". Gradient flows to the rows."""
    flat = index.flatten(1)[..., None].expand(-1, -1, rows.shape[-1])
    return rows.gather(1, flat).unflatten(1, index.shape[1:])
