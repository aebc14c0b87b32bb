"""MoGe's multi-scale local loss: patches of point maps, each after a scale and shift of its own, so that near things are right among
themselves whatever the whole scene's alignment does to them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from networks.track4world.alignment import fit_scale_shifts, thin_by_masks
from trainer.families.track4world.settings import GeometryStageSettings

_PIXELS_AT_ONCE = 2**21  # of patches, in memory
_FARTHEST_SCALE = 10.0  # of a patch from the clip's
_NEAREST = 0.1  # of the harmonic mean depth: nearer points weigh no more


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LocalClip:
    """Point maps of one clip."""

    points: Tensor  # "T H W 3", predicted; gradient flows to them
    truth: Tensor  # "T H W 3"
    valid: Tensor  # bool "T H W"
    intrinsics: Tensor  # "T 3 3", pixels
    scale: float  # of the clip's alignment, prediction to truth


def local_loss(clip: LocalClip, settings: GeometryStageSettings, draw: torch.Generator) -> Tensor:
    """Sum over levels of the mean error, relative to depth, of the points of all patches; a scalar.

    A patch holds the valid pixels near an anchor, which is drawn: within half the image's diagonal over the level in the image, and within
    what that is in space at the anchor's depth. It counts with `local_fewest` points or more, and if its scale is positive and within
    ten times the clip's.

    Args:
        draw: of the anchors, on the CPU.
    """
    known = clip.truth[..., 2][clip.valid]
    if not len(known):
        return clip.points.sum() * 0
    least = _NEAREST / (1 / known.clamp_min(1e-6)).mean()
    weight = torch.where(clip.valid, 1 / torch.maximum(clip.truth[..., 2], least), 0)
    total = clip.points.sum() * 0
    for level, count, side in zip(settings.local_levels, settings.local_anchors, settings.local_sides, strict=True):
        error, number = clip.points.sum() * 0, clip.points.new_zeros(())
        for patches in _patches(clip, level, count, settings.local_fewest, draw):
            found, mask = _patch_errors(clip, patches, side=side, truncation=settings.truncation)
            weighted = found * weight[patches.frame, patches.rows, patches.columns]
            error, number = error + torch.where(mask, weighted, 0).sum(), number + mask.sum()
        total = total + error / number.clamp_min(1)
    return total


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Patches:
    """P patches of one frame, windows of q x q pixels."""

    frame: int
    rows: Tensor  # int64 "P q 1", within the image
    columns: Tensor  # int64 "P 1 q"
    mask: Tensor  # bool "P q q": pixels of the patch
    radius: Tensor  # "P", in space


def _patches(clip: LocalClip, level: int, count: int, fewest: int, draw: torch.Generator) -> Iterator[_Patches]:
    height, width = clip.valid.shape[1:]
    reach = math.ceil(0.5 / level * math.hypot(height, width))
    window = torch.arange(-reach, reach + 1, device=clip.points.device)
    at_once = max(1, _PIXELS_AT_ONCE // len(window) ** 2)
    for frame, valid in enumerate(clip.valid):
        places = valid.flatten().nonzero()[:, 0]
        chosen = places[torch.randperm(len(places), generator=draw)[:count].to(places.device)]
        (fx, _, _), (_, fy, _) = clip.intrinsics[frame, :2].tolist()
        for anchors in chosen.split(at_once):
            row, column = anchors // width, anchors % width
            centre = clip.truth[frame, row, column]
            radius = 0.5 / level * math.hypot(width / fx, height / fy) * centre[:, 2]
            rows, columns = (row[:, None] + window)[:, :, None], (column[:, None] + window)[:, None]
            inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
            near = (clip.truth[frame, rows, columns] - centre[:, None, None]).norm(dim=-1) <= radius[:, None, None]
            mask = inside & near & valid[rows, columns]
            enough = mask.flatten(1).sum(dim=1) >= fewest
            if bool(enough.any()):
                yield _Patches(frame=frame, rows=rows[enough], columns=columns[enough], mask=mask[enough], radius=radius[enough])


def _patch_errors(clip: LocalClip, patches: _Patches, *, side: int, truncation: float) -> tuple[Tensor, Tensor]:
    """Mean absolute error of the coordinates of aligned patches "P q q", and the pixels that count, bool alike."""
    points, truth = (maps[patches.frame, patches.rows, patches.columns] for maps in (clip.points, clip.truth))
    rows, columns, found = thin_by_masks(patches.mask, side)
    index = torch.arange(len(points), device=points.device)[:, None]
    x, y = points.detach()[index, rows, columns], truth[index, rows, columns]
    scale, shift = (fit.to(points.dtype) for fit in fit_scale_shifts(x, y, found / patches.radius[:, None], truncation=truncation))
    accepted = (scale > clip.scale / _FARTHEST_SCALE) & (scale < clip.scale * _FARTHEST_SCALE)
    aligned = scale[:, None, None, None] * points + shift[:, None, None]
    return (aligned - truth).abs().mean(dim=-1), patches.mask & accepted[:, None, None]
