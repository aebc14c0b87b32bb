"""Correlation of tracks with the surface: a pyramid of points and features, nearest neighbours, and their comparison with the query."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers.blocks import Mlp, wave_encoding
from pipeline.errors import DataError

_SMALLEST = 1e-6  # spread of depth
_BYTES_PER_PAIR = 16  # of a query and a point: a distance, and what choosing the smallest takes beside it
_RELIEF = 4  # x, y, z, and z by its statistics
_OCTAVES = (-2, 13)  # frequencies of the positional encoding: 2^-2 to 2^13


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
    return _sample(maps, pixels, "bilinear")


def sample_nearest(maps: Tensor, pixels: Tensor) -> Tensor:
    """Maps "B C h w" at the pixels nearest to (x, y) "B N 2" to "B N C"; halves go to even pixels, as far as float32 tells."""
    return _sample(maps, pixels, "nearest")


def _sample(maps: Tensor, pixels: Tensor, mode: str) -> Tensor:
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


class CorrelationModule(nn.Module):
    """Norm and MLPs of the comparison; each level has its own MLPs."""

    def __init__(self, width: int, *, num_levels: int, num_neighbours: int) -> None:
        super().__init__()
        self.num_neighbours = num_neighbours
        self.in_norm = nn.LayerNorm(width)
        self.posenc_mlps = nn.ModuleList(Mlp(encoding_size(_RELIEF), width, width) for _ in range(num_levels))
        self.corr_mlps = nn.ModuleList(Mlp(num_neighbours * (1 + width), 4 * width, width) for _ in range(num_levels))

    def query_tokens(self, pyramid: list[Level], pixels: Tensor) -> list[Tensor]:
        """Appearance of each query, once per clip.

        Args:
            pixels: "B Q 2", (x, y) in cells of the finest level.
        Returns: per level "B Q C": the features of frame 0 there, and the encoding of no displacement.
        """
        batch, finest = len(pixels), pyramid[0].size
        nowhere = positional_encoding(pixels.new_zeros(_RELIEF))
        tokens = []
        for level, mlp in zip(pyramid, self.posenc_mlps, strict=True):
            first = level.features.unflatten(0, (batch, -1))[:, 0].transpose(1, 2).unflatten(2, level.size)
            scale = pixels.new_tensor([level.size[1] / finest[1], level.size[0] / finest[0]])
            tokens.append(self.in_norm(sample_bilinear(first, pixels * scale)) + mlp(nowhere))
        return tokens

    def forward(self, pyramid: list[Level], tokens: list[Tensor], coordinates: Tensor, budget_mb: float) -> Tensor:
        """Compare all tracks with their queries.

        Args:
            tokens: per level "B Q C", of `query_tokens`.
            coordinates: "B T Q 3", present positions in each frame's box.
            budget_mb: working memory of the search for neighbours.
        Returns: "B T Q C*levels".
        """
        num_frames, flat = coordinates.shape[1], coordinates.flatten(0, 1)
        parts = []
        for index, level in enumerate(pyramid):
            nearest = nearest_neighbours(flat, level.points, k=self.num_neighbours, budget_mb=budget_mb)
            query = tokens[index].repeat_interleave(num_frames, dim=0)
            parts.append(self._compare(index, level, nearest, query, flat))
        return torch.cat(parts, dim=-1).unflatten(0, (-1, num_frames))

    def _compare(self, index: int, level: Level, nearest: Tensor, query: Tensor, coordinates: Tensor) -> Tensor:
        """Neighbours "BT Q k", query tokens "BT Q C" and coordinates "BT Q 3" to "BT Q C"."""
        relative = gather_rows(level.relief, nearest) - level.with_relief(coordinates)[:, :, None]
        shape = self.posenc_mlps[index](positional_encoding(relative))  # "BT Q k C"
        features = F.normalize(self.in_norm(gather_rows(level.features, nearest)), dim=-1)
        likeness = (features * F.normalize(query, dim=-1)[:, :, None]).sum(-1, keepdim=True) / math.sqrt(query.shape[-1])
        return self.corr_mlps[index](torch.cat([likeness, shape], dim=-1).flatten(2))


def encoding_size(dimensions: int) -> int:
    """Channels of the encoding of a vector."""
    return dimensions * (1 + 2 * (_OCTAVES[1] - _OCTAVES[0] + 1))


def positional_encoding(coordinates: Tensor) -> Tensor:
    """ "... D" to float32 "... 33D": coordinates, sines and cosines of the octaves 2^-2 to 2^13."""
    return wave_encoding(coordinates, _OCTAVES)
