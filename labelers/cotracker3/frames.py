"""From a clip's pixels to the model's, and back. The public predictor's resize: align-corners, aspect ratio not kept.

With whole numbers at pixel centres, align-corners maps the outermost pixel centres onto each other: x_model = x (W_model-1)/(W-1).
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from labelers.cotracker3.network import CoTracker3
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
