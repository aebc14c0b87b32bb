"""Feature pyramids, channels last: what tracking needs of a video, computed once per frame and used for every pass over it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import DataError

CHANNELS = 128
LEVELS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Pyramid of F frames: level l is "F h_l w_l 128", cells of stride 4 * 2^l, unit norm at level 0."""

    levels: tuple[Tensor, ...]

    @property
    def num_frames(self) -> int:
        """F."""
        return len(self.levels[0])


def pyramid(raw: Tensor) -> Features:
    """Raw encoder output "F 128 h w" to a pyramid: unit norm per location, then 2x2 means; odd sizes drop the last row or column."""
    level = raw.float() / raw.float().square().sum(1, keepdim=True).clamp_min(1e-12).sqrt()
    levels = [level]
    for _ in range(LEVELS - 1):
        levels.append(F.avg_pool2d(levels[-1], 2, 2))
    return Features(tuple(level.permute(0, 2, 3, 1).to(raw.dtype) for level in levels))


def encode(encoder: Callable[[Tensor], Tensor], frames: Tensor, frames_at_once: int) -> Features:
    """Pyramid of frames "F 3 H W" (0..255), a few at a time: the encoder's working memory does not grow with F."""
    return gather_chunks((pyramid(encoder(part)) for part in frames.split(frames_at_once)), len(frames))


def gather_chunks(chunks: Iterable[Features], num_frames: int) -> Features:
    """Pyramids of consecutive frames as one, copied chunk by chunk into place. Raises DataError if they are not as many as promised."""
    levels: list[Tensor] = []
    arrived = 0
    for chunk in chunks:
        if not levels:
            levels = [level.new_empty((num_frames, *level.shape[1:])) for level in chunk.levels]
        place = slice(arrived, arrived + chunk.num_frames)
        arrived += chunk.num_frames
        if arrived > num_frames:
            break
        for whole, part in zip(levels, chunk.levels, strict=True):
            whole[place] = part
    if arrived != num_frames:
        raise DataError(f"{arrived} frames arrived, {num_frames} were promised; cut the clip again")
    return Features(tuple(levels))


def last_frames(features: Features, count: int, *, batch: int) -> tuple[Features, ...]:
    """The last frames of each of `batch` videos, as copies that do not keep the others alive."""
    videos = (zip(*(level.chunk(batch) for level in features.levels), strict=True)) if batch > 1 else [features.levels]
    return tuple(Features(tuple(level[-count:].clone() for level in levels)) for levels in videos)
