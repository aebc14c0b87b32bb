"""Correlations of queries with frames, and places in them."""

import torch
import torch.nn.functional as F
from torch import Tensor

FINE, COARSE = 4, 8  # pixels a cell of the two feature maps
RADIUS = 3  # of patches of correlations, in cells
SEARCH_RADIUS = 2  # of the neighbourhood of the best cell that its place is averaged over


def to_cells(places_px: Tensor, stride: int) -> Tensor:
    """Pixels to cells of a map of that stride (integers are centres)."""
    return (places_px + 0.5) / stride - 0.5


def features_at(maps: Tensor, queries: Tensor, stride: int) -> Tensor:
    """Feature of each query, where and when it is asked.

    Args:
        maps: "T C h w", unit features. queries: "N 3", (t, x, y) with t among these T frames, in pixels.
    Returns: "N C", unit features.
    """
    height, width = maps.shape[-2:]
    cells, frame = to_cells(queries[:, 1:], stride), queries[:, 0].long()
    found, single_maps = [], maps.unbind()  # slices would each send back a gradient of the size of all maps
    for t in torch.unique(frame).tolist():
        asked = torch.nonzero(frame == t)[:, 0]
        places = _normalised(cells[asked], height, width)[None, None]
        sampled = F.grid_sample(single_maps[t][None], places, align_corners=True, padding_mode="border")[0, :, 0].T
        found.append((asked, sampled))
    order = torch.cat([asked for asked, _ in found])
    features = torch.cat([sampled for _, sampled in found])[torch.argsort(order)]
    return F.normalize(features, dim=1)


def correlations(maps: Tensor, features: Tensor) -> Tensor:
    """Products of features "N C" with every cell of maps "T C h w", "T N h w"; in [-1, 1] of unit features."""
    return (features @ maps.flatten(2)).view(len(maps), -1, *maps.shape[-2:])


def patches(volume: Tensor, cells: Tensor) -> Tensor:
    """A square of RADIUS cells around a place in each point's own map, bilinear, 0 beyond the map.

    Args:
        volume: "T N h w". cells: "T N 2", (x, y) in cells; no gradient flows to them.
    Returns: "T N (2 RADIUS + 1)^2", rows of the square one after the other.
    """
    num_frames, num_points, height, width = volume.shape
    return _squares(volume, cells, RADIUS).reshape(num_frames, num_points, -1)


def _squares(volume: Tensor, cells: Tensor, radius: int) -> Tensor:
    height, width = volume.shape[-2:]
    step = torch.arange(-radius, radius + 1, device=volume.device, dtype=volume.dtype)
    offsets = torch.stack(torch.meshgrid(step, step, indexing="xy"), dim=-1)  # "s s 2", (x, y)
    places = cells.detach().flatten(0, 1)[:, None, None] + offsets
    return F.grid_sample(volume.flatten(0, 1)[:, None], _normalised(places, height, width), align_corners=True)[:, 0]


def _normalised(cells: Tensor, height: int, width: int) -> Tensor:
    """Cells (x, y) as grid_sample wants them with aligned corners."""
    return 2 * cells / cells.new_tensor([max(width - 1, 1), max(height - 1, 1)]) - 1


def best_place(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The best cell of every map, averaged with its neighbours by their softmax.

    Args:
        logits: "T N h w" of the coarse map.
    Returns: pixels "T N 2", and the share of the whole softmax that this neighbourhood holds, "T N" in [0, 1]. Gradient flows to the
        logits, through the averages.
    """
    num_frames, num_points, height, width = logits.shape
    best = logits.detach().flatten(2).argmax(dim=-1)
    cells = torch.stack([best % width, best // width], dim=-1).to(logits.dtype)
    near = _squares(logits, cells, SEARCH_RADIUS).view(num_frames, num_points, -1)
    step = torch.arange(-SEARCH_RADIUS, SEARCH_RADIUS + 1, device=logits.device, dtype=logits.dtype)
    offsets = torch.stack(torch.meshgrid(step, step, indexing="xy"), dim=-1).flatten(0, 1)
    places = cells[:, :, None] + offsets
    inside = ((places >= 0) & (places <= places.new_tensor([width - 1, height - 1]))).all(dim=-1)
    near = near.masked_fill(~inside, -torch.inf)
    average = cells + (near.softmax(dim=-1)[..., None] * offsets).sum(dim=-2)
    share = (near.logsumexp(dim=-1) - logits.flatten(2).logsumexp(dim=-1)).exp()
    return (average + 0.5) * COARSE - 0.5, share
