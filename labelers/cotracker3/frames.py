"""From a clip's pixels to the model's, and back. The public predictor's resize: align-corners, aspect ratio not kept.

With whole numbers at pixel centres, align-corners maps the outermost pixel centres onto each other: x_model = x (W_model-1)/(W-1).
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from networks.cotracker3.network import CoTracker3
from pipeline.errors import DataError


def to_model_frames(frames: np.ndarray, model: CoTracker3) -> Tensor:
    """Frames uint8 "F H W 3" to float32 "F 3 H_model W_model", 0..255, on the model's device: bilinear, no antialiasing."""
    pixels = torch.from_numpy(np.ascontiguousarray(frames))
    if model.device.type != "cpu":
        pixels = pixels.pin_memory().to(model.device, non_blocking=True)
    return F.interpolate(pixels.permute(0, 3, 1, 2).float(), model.model_resolution, mode="bilinear", align_corners=True)


def pixel_scale(size: tuple[int, int], model_resolution: tuple[int, int]) -> np.ndarray:
    """float32 (2,): multiply (x, y) of frames of `size` (H, W) by it to get model pixels."""
    (height, width), (model_height, model_width) = size, model_resolution
    return np.array([(model_width - 1) / max(width - 1, 1), (model_height - 1) / max(height - 1, 1)], np.float32)


def in_groups(frames: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Frames "H W 3" a few at a time, as "F H W 3"; the last group may be smaller."""
    group: list[np.ndarray] = []
    for frame in frames:
        group.append(frame)
        if len(group) == size:
            yield np.stack(group)
            group = []
    if group:
        yield np.stack(group)


def check_queries(queries: np.ndarray, num_frames: int) -> None:
    """Raise DataError unless queries "N 3" lie on whole frames of a clip."""
    if queries.ndim != 2 or queries.shape[1] != 3:
        raise DataError(f"queries {list(queries.shape)}, expected [N, 3]: (t, x, y)")
    t = queries[:, 0]
    if ((t < 0) | (t >= num_frames) | (t % 1 != 0)).any():
        raise DataError(f"queries on frames {t.min():g} to {t.max():g}, expected whole numbers from 0 to {num_frames - 1}")


def regular_grid(num_side: int, extent: tuple[float, float], *, center: tuple[float, float] | None = None) -> np.ndarray:
    """Points on a square grid.

    Args:
        num_side: points per side; a single one lies in the middle, 0 gives none.
        extent: (H, W) that the grid covers, less a margin of W/64 on every side.
        center: (y, x) of the middle, by default that of the extent.
    Returns: float32 "G*G 2", (x, y), row by row.
    """
    height, width = extent
    center_y, center_x = center or (height / 2, width / 2)
    if num_side == 1:
        return np.array([[center_x, center_y]], np.float32)
    margin = width / 64
    xs = np.linspace(margin - width / 2 + center_x, width / 2 + center_x - margin, num_side)
    ys = np.linspace(margin - height / 2 + center_y, height / 2 + center_y - margin, num_side)
    return np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2).astype(np.float32)
