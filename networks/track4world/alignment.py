"""3D flow of frame pairs brought onto the geometry of their second frames, and confidence by how well that succeeds."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_SIDE = 32  # of the maps that the fit sees
_VISIBLE = 0.6  # visibility times confidence
_NOTHING = 1e-4  # sum of a point's absolute coordinates
_SENSITIVITY = 5.0
_RATIOS_AT_ONCE = 2**20  # float64 numbers of one working tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleShift:
    """y = scale x + shift."""

    scale: float
    shift: tuple[float, float, float]

    def apply(self, vectors: Tensor) -> Tensor:
        """Vectors "3 ..." scaled and shifted."""
        shift = vectors.new_tensor(self.shift)
        return self.scale * vectors + shift.view(3, *(1,) * (vectors.ndim - 1))


@torch.no_grad()
def fit_scale_shift(source: Tensor, target: Tensor, weight: Tensor, *, truncation: float | None = None) -> ScaleShift | None:
    """The fit of `fit_scale_shifts` on one problem; None if no weight is positive.

    Args:
        source, target: "N 3". weight: "N", 0 leaves a point out.
    """
    used = weight > 0
    if not bool(used.any()):
        return None
    scale, shift = fit_scale_shifts(source[used][None], target[used][None], weight[used][None], truncation=truncation)
    x, y, z = shift[0].tolist()
    return ScaleShift(scale=float(scale[0]), shift=(x, y, z))


@torch.no_grad()
def fit_scale_shifts(source: Tensor, target: Tensor, weight: Tensor, *, truncation: float | None = None) -> tuple[Tensor, Tensor]:
    """argmin over s, t of the sum of weight |s x + t - y|_1 of P problems, exactly: the optimum passes through one of the points.

    Args:
        source, target: "P N 3". weight: "P N", 0 leaves a point out.
        truncation: a coordinate's weighted error costs this at most; None: no limit. The best through one of the points is found then.
    Returns: float64 scales "P" and shifts "P 3"; between equal fits the first point's. 1 and 0 without a positive weight.
    """
    x, y, w = source.double(), target.double(), weight.double()
    num_points = x.shape[1]
    best = torch.full_like(w[:, 0], math.inf)
    place, scale = torch.zeros_like(best, dtype=torch.long), torch.ones_like(best)
    numbers = 3 * num_points * (1 if truncation is None else 3)
    at_once = max(1, _RATIOS_AT_ONCE // (len(x) * numbers))
    for start in range(0, num_points, at_once):
        part = slice(start, start + at_once)
        dx, dy = ((points[:, None] - points[:, part, None]).flatten(2) for points in (x, y))  # "P n 3N", from each anchor point
        mass = w.repeat_interleave(3, dim=1)[:, None].expand_as(dx)
        scales, objectives = _best_scales(dx, dy, mass) if truncation is None else _best_truncated(dx, dy, mass, truncation)
        objectives = torch.where(w[:, part] > 0, objectives, math.inf)
        found, index = objectives.min(dim=1)
        better = found < best
        best, place = torch.where(better, found, best), torch.where(better, start + index, place)
        scale = torch.where(better, scales.gather(1, index[:, None])[:, 0], scale)
    anchors = place[:, None, None].expand(-1, 1, 3)
    shift = (y.gather(1, anchors) - scale[:, None, None] * x.gather(1, anchors))[:, 0]
    return scale, torch.where(best.isfinite()[:, None], shift, 0)


def thin_by_mask(valid: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Pixels that stand for the cells of a side x side grid over a map: of the valid ones about a cell's centre, the nearest to it.

    A cell's window has max(1, W / side) columns, rounded up, and rows alike; on ties the first row by row is taken.

    Args:
        valid: bool "H W".
    Returns: rows and columns of the pixels, int64 "M" each, cell by cell; cells without a valid pixel drop out.
    """
    rows, columns, found = thin_by_masks(valid, side)
    return rows[found], columns[found]


def thin_by_masks(valid: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """`thin_by_mask` of maps "... H W": rows, columns, int64 "... side*side", and whether a cell has a valid pixel, bool alike."""
    (rows, row_gaps), (columns, column_gaps) = (_cell_windows(length, side, valid.device) for length in valid.shape[-2:])
    height, width = valid.shape[-2:]
    inside = ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[None, :, None, :]
    r, c = rows.clamp(0, height - 1)[:, None, :, None], columns.clamp(0, width - 1)[None, :, None, :]
    distance = (row_gaps**2)[:, None, :, None] + (column_gaps**2)[None, :, None, :]
    distance = torch.where(inside & valid[..., r, c], distance, math.inf).flatten(-2)  # "... side side window"
    nearest = distance.argmin(dim=-1)
    found = distance.gather(-1, nearest[..., None])[..., 0].isfinite()
    window = rows.shape[1], columns.shape[1]
    r, c = (index.expand(side, side, *window).flatten(2).expand_as(distance).gather(-1, nearest[..., None])[..., 0] for index in (r, c))
    return r.flatten(-2), c.flatten(-2), found.flatten(-2)


def sample_at_targets(points: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Points of second frames at target pixels: "K 3 H W", zeros outside, and whether a target is inside, bool "K H W".

    Args:
        points: "K 3 H W". pixels: "K 2 H W", (x, y), integers at pixel centres.
    """
    height, width = points.shape[-2:]
    last = pixels.new_tensor([width - 1, height - 1]).clamp_min(1)
    grid = 2 * pixels.permute(0, 2, 3, 1) / last - 1
    found = F.grid_sample(points, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return found, (grid.abs() <= 1).all(dim=-1)


def align_pair(points: Tensor, seen: Tensor, flow3d: Tensor, usable: Tensor) -> Tensor:
    """A pair's 3D flow scaled and shifted onto what the second frame shows at its targets: "3 H W", as it was where nothing is usable.

    Args:
        points: "3 H W", of the first frame. seen: "3 H W", by `sample_at_targets`. flow3d: "3 H W".
        usable: bool "H W": targets inside, and visible.
    """
    valid = usable & (seen.abs().sum(dim=0) > _NOTHING) & (points.abs().sum(dim=0) > _NOTHING)
    rows, columns = thin_by_mask(valid, _SIDE)
    source, target = flow3d[:, rows, columns].T, (seen - points)[:, rows, columns].T
    fit = fit_scale_shift(source, target, torch.ones_like(source[:, 0]))
    return flow3d if fit is None else fit.apply(flow3d)


def visible_pixels(visconf: Tensor) -> Tensor:
    """Whether visibility times confidence "... 2 H W" lets pixels take part in the fit: bool "... H W"."""
    return visconf.prod(dim=-3) > _VISIBLE


def refine_confidence(visconf: Tensor, points: Tensor, seen: Tensor, flow3d: Tensor) -> Tensor:
    """Visibility and confidence "K 2 H W" less what 3D flow and the second frame's points disagree: times exp(-5 distance)."""
    return visconf * torch.exp(-_SENSITIVITY * (seen - points - flow3d).norm(dim=1, keepdim=True))


def _best_scales(dx: Tensor, dy: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Per row the s that minimises the sum of weight |s dx - dy|, and that sum: "... K" to "..." each; s = 1 where no dx differs from 0."""
    mass = weight * dx.abs()
    usable = mass > 0
    ratio, order = torch.where(usable, dy / torch.where(usable, dx, 1), math.inf).sort(dim=-1)
    below = mass.gather(-1, order).cumsum(dim=-1)
    half = (2 * below - below[..., -1:] >= 0).to(torch.uint8).argmax(dim=-1, keepdim=True)  # the first of the largest
    scales = torch.where(usable.any(dim=-1), ratio.gather(-1, half)[..., 0], 1.0)
    return scales, (weight * (scales[..., None] * dx - dy).abs()).sum(dim=-1)


def _best_truncated(dx: Tensor, dy: Tensor, weight: Tensor, truncation: float) -> tuple[Tensor, Tensor]:
    """Per row the s that minimises the sum of min(truncation, weight |s dx - dy|), and that sum. Arguments as `_best_scales`.

    The sum is linear between the places where one of its terms bends: at its ratio, and where it reaches the limit on either side.
    """
    mass = weight * dx.abs()
    usable = mass > 0
    ratio = torch.where(usable, dy / torch.where(usable, dx, 1), 0)
    reach = torch.where(usable, truncation / torch.where(usable, mass, 1), 0)
    bends, order = torch.cat([ratio - reach, ratio, ratio + reach], dim=-1).sort(dim=-1)
    slopes = torch.cat([-mass, 2 * mass, -mass], dim=-1).gather(-1, order).cumsum(dim=-1)  # behind each bend
    change = (slopes[..., :-1] * bends.diff(dim=-1)).cumsum(dim=-1)
    values = torch.cat([torch.zeros_like(change[..., :1]), change], dim=-1)  # from that far to the left of all bends
    least, index = values.min(dim=-1, keepdim=True)
    scales = torch.where(usable.any(dim=-1), bends.gather(-1, index)[..., 0], 1.0)
    fixed = torch.where(usable, truncation, (weight * dy.abs()).clamp_max(truncation)).sum(dim=-1)  # where s plays no part, its own error
    return scales, fixed + least[..., 0]


def _cell_windows(length: int, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixels of each cell's window, int64 "side q", and their centres' distances from the cell's."""
    stretch = max(1.0, length / side)
    centres = (torch.arange(side, device=device, dtype=torch.float64) + 0.5) * (length / side)
    first = (centres - stretch / 2).round().long()  # halves to even
    pixels = first[:, None] + torch.arange(math.ceil(stretch), device=device)
    return pixels, pixels + 0.5 - centres[:, None]
