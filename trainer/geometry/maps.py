"""Samples of maps at pixels, masked statistics, and the focal lengths of point maps.

Pixels are (x, y); integer coordinates are centres of pixels, outside counts as the border.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def sample_maps(maps: Tensor, pixels: Tensor) -> Tensor:
    """Bilinear values of one map per frame at that frame's pixels.

    Args:
        maps: "B T H W C".
        pixels: "B T N 2", of the map's raster; finite.
    Returns:
        "B T N C". Gradient flows to the four pixels around each place, with the bilinear weights, and to `pixels`; callers detach.
    Source: TrajVG's Sample(P_t, q): align_corners True, border clamp.
    """
    clips, frames, height, width, _ = maps.shape
    last = torch.tensor([width - 1, height - 1], device=pixels.device, dtype=pixels.dtype).clamp_min(1)
    grid = (2 * pixels / last - 1).flatten(0, 1)[:, :, None]  # "BT N 1 2"
    images = maps.flatten(0, 1).movedim(-1, 1)  # "BT C H W"
    values = F.grid_sample(images, grid.to(maps.dtype), mode="bilinear", padding_mode="border", align_corners=True)
    return values[..., 0].mT.unflatten(0, (clips, frames))


def nearest_pixels(places: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Columns and rows nearest to "... 2", clamped to an image of (height, width)."""
    whole = places.round().long()
    return whole[..., 0].clamp(0, size[1] - 1), whole[..., 1].clamp(0, size[0] - 1)


def in_image(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Whether pixels "... 2" lie on an image of (height, width): bool "...", True up to half a pixel outside the outermost centres."""
    height, width = size
    x, y = pixels.unbind(-1)
    return (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over all axes but the first, "B"; 0 where nothing is selected. Gradient flows to the selected values only.

    Args:
        values, mask: "B ..."; the mask bool.
    """
    chosen = torch.where(mask, values, 0).flatten(1)
    return chosen.sum(1) / mask.flatten(1).sum(1).clamp_min(1)


def masked_median(values: Tensor, mask: Tensor) -> Tensor:
    """Median over the last axis, the mean of the two middle values where their number is even.

    Args:
        values, mask: "... K"; the mask bool.
    Returns: "..."; 0 where nothing is selected.
    """
    ordered = torch.where(mask, values, float("inf")).sort(dim=-1).values
    count = mask.sum(-1, keepdim=True)
    middle = torch.cat([(count - 1).clamp_min(0) // 2, count // 2], dim=-1).clamp_max(max(values.shape[-1] - 1, 0))
    return torch.where(count[..., 0] > 0, ordered.gather(-1, middle).mean(-1), 0)


def point_map_intrinsics(point_maps: Tensor) -> Tensor:
    """Pinhole intrinsics that explain point maps best: one focal length per frame, principal point in the middle of the image.

    The focal length minimises the squared distance in pixels between where a point lies and where it projects to, points behind the
    camera left out.

    Args:
        point_maps: "B T H W 3", camera frame of each map.
    Returns: "B T 3 3"; detached. The focal length is the longer side where no point is in front of the camera.
    """
    points = point_maps.detach()
    height, width = points.shape[2:4]
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2], device=points.device, dtype=points.dtype)
    y, x = torch.meshgrid(*(torch.arange(n, device=points.device, dtype=points.dtype) for n in (height, width)), indexing="ij")
    places = torch.stack([x, y], dim=-1) - middle
    front = points[..., 2:] > 1e-6
    directions = torch.where(front, points[..., :2] / torch.where(front, points[..., 2:], 1), 0)
    products, squares = ((directions * other).sum(dim=(2, 3, 4)) for other in (places, directions))
    focal = torch.where(squares > 0, products / torch.where(squares > 0, squares, 1), max(height, width))
    intrinsics = torch.zeros(*focal.shape, 3, 3, device=points.device, dtype=points.dtype)
    intrinsics[..., 0, 0] = intrinsics[..., 1, 1] = focal
    intrinsics[..., :2, 2] = middle
    intrinsics[..., 2, 2] = 1
    return intrinsics
