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
_RATIOS_AT_ONCE = 2**20


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
def fit_scale_shift(source: Tensor, target: Tensor, weight: Tensor) -> ScaleShift | None:
    """argmin over s, t of the sum of weight |s x + t - y|_1, exactly: the optimum passes through one of the points.

    Args:
        source, target: "N 3". weight: "N", 0 leaves a point out.
    Returns: None if no weight is positive. Between equal ones the first point's fit.
    """
    used = weight > 0
    x, y, w = source[used].double(), target[used].double(), weight[used].double()
    if not len(x):
        return None
    best, place, factor = math.inf, 0, 1.0
    at_once = max(1, _RATIOS_AT_ONCE // (3 * len(x)))
    for start in range(0, len(x), at_once):
        part = slice(start, start + at_once)
        dx, dy = (x - x[part, None]).flatten(1), (y - y[part, None]).flatten(1)  # "n 3N", from each anchor point
        scales = _weighted_medians(dx, dy, w.repeat_interleave(3))
        objectives = ((scales[:, None] * dx - dy).abs() * w.repeat_interleave(3)).sum(dim=1)
        index = int(objectives.argmin())
        if float(objectives[index]) < best:
            best, place, factor = float(objectives[index]), start + index, float(scales[index])
    shift = (y[place] - factor * x[place]).tolist()
    return ScaleShift(scale=factor, shift=(shift[0], shift[1], shift[2]))


def thin_by_mask(valid: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Pixels that stand for the cells of a side x side grid over a map: of the valid ones about a cell's centre, the nearest to it.

    A cell's window has max(1, W / side) columns, rounded up, and rows alike; on ties the first row by row is taken.

    Args:
        valid: bool "H W".
    Returns: rows and columns of the pixels, int64 "M" each, cell by cell; cells without a valid pixel drop out.
    """
    (rows, row_gaps), (columns, column_gaps) = (_cell_windows(length, side, valid.device) for length in valid.shape)
    height, width = valid.shape
    inside = ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[None, :, None, :]
    r, c = rows.clamp(0, height - 1)[:, None, :, None], columns.clamp(0, width - 1)[None, :, None, :]
    distance = (row_gaps**2)[:, None, :, None] + (column_gaps**2)[None, :, None, :]
    distance = torch.where(inside & valid[r, c], distance, math.inf).flatten(2)  # "side side window"
    nearest = distance.argmin(dim=2)
    found = distance.gather(2, nearest[..., None])[..., 0].isfinite()
    r, c = (index.expand(side, side, rows.shape[1], columns.shape[1]).flatten(2).gather(2, nearest[..., None])[..., 0] for index in (r, c))
    return r[found], c[found]


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


def _weighted_medians(dx: Tensor, dy: Tensor, weight: Tensor) -> Tensor:
    """Per row the s that minimises the sum of weight |s dx - dy|: "n K" to "n"; 1 where no dx differs from 0."""
    mass = weight * dx.abs()
    usable = mass > 0
    ratio, order = torch.where(usable, dy / torch.where(usable, dx, 1), math.inf).sort(dim=1)
    below = mass.gather(1, order).cumsum(dim=1)
    half = (2 * below - below[:, -1:] >= 0).to(torch.uint8).argmax(dim=1, keepdim=True)  # the first of the largest
    return torch.where(usable.any(dim=1), ratio.gather(1, half)[:, 0], 1.0)


def _cell_windows(length: int, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixels of each cell's window, int64 "side q", and their centres' distances from the cell's."""
    stretch = max(1.0, length / side)
    centres = (torch.arange(side, device=device, dtype=torch.float64) + 0.5) * (length / side)
    first = (centres - stretch / 2).round().long()  # halves to even
    pixels = first[:, None] + torch.arange(math.ceil(stretch), device=device)
    return pixels, pixels + 0.5 - centres[:, None]
