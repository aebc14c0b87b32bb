"""Correlation of a source's anchors with a target's: pooled targets, lookups around the present flow, in parts to a memory budget."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from networks.layers.blocks import wave_encoding
from networks.layers.computing import checkpointed
from networks.track4world.blocks import WAVES

_BYTES_PER_PAIR = 8  # of a source and a target anchor: a float32, and a copy


def anchor_grid(like: Tensor) -> Tensor:
    """(x, y) of the anchors of maps "... h w", in anchors: float32 "1 2 h w"."""
    y, x = torch.meshgrid(*(torch.arange(side, device=like.device, dtype=torch.float32) for side in like.shape[-2:]), indexing="ij")
    return torch.stack([x, y])[None]


def sample_maps(maps: Tensor, coordinates: Tensor) -> Tensor:
    """Maps "K C h w" at (x, y) "K 2 H W" in cells, integers at centres, bilinear, outside the border's value: "K C H W"."""
    return F.grid_sample(maps, _grid(coordinates.permute(0, 2, 3, 1), maps), mode="bilinear", padding_mode="border", align_corners=True)


def pooled_features(maps: Tensor, num_levels: int) -> list[Tensor]:
    """Maps "K C h w" and their halvings, each the mean of its windows in the finer; an odd side's windows overlap."""
    levels = [maps]
    for _ in range(1, num_levels):
        levels.append(F.interpolate(levels[-1], size=_half(levels[-1]), mode="area"))
    return levels


def strided_points(maps: Tensor, num_levels: int) -> list[Tensor]:
    """Maps "K C h w" and their halvings, each every second value of the finer."""
    levels = [maps]
    for _ in range(1, num_levels):
        rows, columns = _half(levels[-1])
        levels.append(levels[-1][..., : 2 * rows : 2, : 2 * columns : 2])
    return levels


def lookup(source: Tensor, levels: list[Tensor], coordinates: Tensor, *, radius: int, budget_mb: float, recompute: bool = False) -> Tensor:
    """Scaled products of each source anchor with the target around a place, bilinear, border, corners on corners.

    Args:
        source: "K C h w".
        levels: the target "K C h_l w_l" each, level l halved l times.
        coordinates: "K 2 h w", (x, y) in cells of level 0. No gradient reaches them: pass them detached.
        radius: r, in cells of each level.
        budget_mb: working memory in MiB; one anchor's products with one target are held at least.
        recompute: in the backward pass, so that it needs no more memory.
    Returns: float32 "K L(2r+1)^2 h w", levels from fine to coarse; within one, the slow index moves x.
    """
    features = (source / math.sqrt(source.shape[1])).flatten(2).transpose(1, 2)  # "K hw C"
    places = coordinates.flatten(2).transpose(1, 2)  # "K hw 2"
    reach = torch.arange(-radius, radius + 1, device=source.device, dtype=places.dtype)
    offsets = torch.stack(torch.meshgrid(reach, reach, indexing="ij"), dim=-1)
    found = []
    for number, level in enumerate(levels):
        scaled = places / 2**number
        items, anchors = _part_sizes(features.shape[:2], level.shape[-2:].numel(), budget_mb)
        rows = []
        for first in range(0, len(features), items):
            some = slice(first, first + items)
            parts = [
                checkpointed(_products, features[some, part], level[some], scaled[some, part], offsets, enabled=recompute)
                for part in (slice(start, start + anchors) for start in range(0, features.shape[1], anchors))
            ]
            rows.append(torch.cat(parts, dim=1))
        found.append(torch.cat(rows))
    return torch.cat(found, dim=2).transpose(1, 2).unflatten(2, source.shape[-2:])


def encode_motion(flow: Tensor) -> Tensor:
    """A flow "K D h w" with the sines and cosines of its octaves: "K 21D h w"."""
    return wave_encoding(flow.permute(0, 2, 3, 1), (0, WAVES - 1)).permute(0, 3, 1, 2)


def _products(features: Tensor, level: Tensor, places: Tensor, offsets: Tensor) -> Tensor:
    """Features "k n C", level "k C h w", places "k n 2" to "k n (2r+1)^2"."""
    volume = (features @ level.flatten(2)).flatten(0, 1).unflatten(1, (1, *level.shape[-2:]))  # "kn 1 h w"
    around = (places[:, :, None, None] + offsets).flatten(0, 1)
    sampled = F.grid_sample(volume, _grid(around, volume), mode="bilinear", padding_mode="border", align_corners=True)
    return sampled.flatten(1).unflatten(0, features.shape[:2])


def _part_sizes(shape: torch.Size, num_cells: int, budget_mb: float) -> tuple[int, int]:
    """Items and anchors at once."""
    num_items, num_anchors = shape
    at_once = max(1, int(budget_mb * 2**20 / (_BYTES_PER_PAIR * num_cells)))
    return max(1, min(num_items, at_once // num_anchors)), min(num_anchors, at_once)


def _grid(places: Tensor, maps: Tensor) -> Tensor:
    last = torch.tensor([maps.shape[-1] - 1, maps.shape[-2] - 1], device=places.device, dtype=places.dtype).clamp_min(1)
    return places * 2 / last - 1


def _half(maps: Tensor) -> tuple[int, int]:
    return maps.shape[-2] // 2, maps.shape[-1] // 2
