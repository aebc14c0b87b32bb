"""Preprocessing of pictures for a checkpoint of `transformers`, read from its preprocessor_config.json and done in torch alone.

The image processors of `transformers` need torchvision or Pillow; what depth networks ask of them is a resize and a scaling of values.
Reflected borders (`do_pad`, of ZoeDepth) are left out: they spare its predictions artefacts of a few pixels at the border.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ConfigError

Mode = Literal["bilinear", "bicubic"]
_MODES: dict[int, Mode] = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """Resize, then scale values; all that changes the picture that the network sees."""

    size: tuple[int, int] | None  # (H, W) to aim at; None keeps the clip's
    keep_aspect_ratio: bool  # both sides are scaled by the factor of the one that has to change less
    multiple: int  # sides become whole multiples of it
    mode: Mode  # antialiased
    factor: float  # pixel values are multiplied by it,
    mean: tuple[float, ...]  # lessened by this, per channel,
    std: tuple[float, ...]  # and divided by this

    def fitted_size(self, height: int, width: int) -> tuple[int, int]:
        """(H, W) at which the network sees frames of this size."""
        if self.size is None:
            return tuple(max(side // self.multiple, 1) * self.multiple for side in (height, width))  # type: ignore[return-value]  # two
        scales = [wanted / side for wanted, side in zip(self.size, (height, width), strict=True)]
        if self.keep_aspect_ratio:
            scales = 2 * [min(scales, key=lambda scale: abs(1 - scale))]
        rows, columns = (
            max(round(scale * side / self.multiple), 1) * self.multiple for scale, side in zip(scales, (height, width), strict=True)
        )
        return rows, columns

    def __call__(self, frames: np.ndarray, device: torch.device) -> Tensor:
        """uint8 "T H W 3" to float32 "T 3 H' W'"."""
        images = torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float()
        size = self.fitted_size(*frames.shape[1:3])
        if size != frames.shape[1:3]:
            images = F.interpolate(images, size, mode=self.mode, antialias=True, align_corners=False).round_().clamp_(0, 255)
        mean, std = (torch.tensor(values, device=device).view(-1, 1, 1) for values in (self.mean, self.std))
        return (images * self.factor - mean) / std


def parse_preprocessing(table: Mapping[str, Any], where: str) -> Preprocessing:
    """Read a preprocessor_config.json. Raises ConfigError, naming the file and the entry, for what is missing or not known here."""
    mode = _MODES.get(table.get("resample", 3))
    if mode is None:
        raise ConfigError(f"{where}: resample is {table['resample']!r}, expected 2 (bilinear) or 3 (bicubic)")
    divisor = table.get("size_divisor")
    resizes = table.get("do_resize", True)
    normalizes = table.get("do_normalize", "image_mean" in table)
    return Preprocessing(
        size=_size(table.get("size"), where) if resizes and divisor is None else None,
        keep_aspect_ratio=bool(table.get("keep_aspect_ratio", False)),
        multiple=_whole(table.get("ensure_multiple_of", 1) if divisor is None else divisor if resizes else 1, where),
        mode=mode,
        factor=_real(table.get("rescale_factor", 1 / 255), f"{where}: rescale_factor") if table.get("do_rescale", True) else 1.0,
        mean=_channels(table, "image_mean", where) if normalizes else (0.0, 0.0, 0.0),
        std=_channels(table, "image_std", where) if normalizes else (1.0, 1.0, 1.0),
    )


def _size(size: object, where: str) -> tuple[int, int]:
    sides = (size.get("height"), size.get("width")) if isinstance(size, Mapping) else (size, size)
    if not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        raise ConfigError(f'{where}: size is {size!r}, expected {{"height": H, "width": W}}, or one number')
    return sides  # type: ignore[return-value]  # two whole numbers by then


def _whole(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{where}: sides are to be multiples of {value!r}, expected a whole number of at least 1")
    return value


def _real(value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ConfigError(f"{where} is {value!r}, expected a number")
    return float(value)


def _channels(table: Mapping[str, Any], name: str, where: str) -> tuple[float, ...]:
    values = table.get(name)
    if not isinstance(values, list) or len(values) != 3:
        raise ConfigError(f"{where}: {name} is {values!r}, expected three numbers")
    return tuple(_real(value, f"{where}: {name}") for value in values)
