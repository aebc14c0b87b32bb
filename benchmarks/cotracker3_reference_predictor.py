"""What stands around the reference model in the public code: resizing, support points, the second pass over the reversed video, chunks.

The scores are returned as they are, where the public predictors return a boolean made from them.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812  the name that everyone knows
from torch import Tensor, nn

ITERS, SUPPORT = 6, 6


class Prediction(Protocol):
    """What the reference model returns: "B T N 2" in pixels, and two probabilities "B T N"."""

    tracks: Tensor
    visibility: Tensor
    confidence: Tensor


class ReferencePredictor:
    """Tracks in input pixels by either model, called with the whole video. The model is a `ReferenceOffline` or `ReferenceOnline`."""

    def __init__(self, model: nn.Module, iterations: int = ITERS) -> None:
        self.model, self.iterations = model, iterations

    @torch.no_grad()
    def track(self, video: Tensor, queries: Tensor, *, backward: bool) -> Prediction:
        """Track (t, x, y) queries "1 N 3", input pixels, through a video "1 T 3 H W" in 0..255."""
        size, (_, T, _, height, width) = self.model.model_resolution, video.shape
        resized = resize(video, size)
        scale = pixel_scale((height, width), size).to(queries)
        points = torch.cat([queries * F.pad(scale, (1, 0), value=1.0), support_queries(size).to(queries)], 1)
        found = self.model(resized, points, iters=self.iterations)
        tracks, scores = found.tracks, torch.stack([found.visibility, found.confidence], -1)
        if backward:
            reversed_points = torch.cat([T - 1 - points[..., :1], points[..., 1:]], -1)
            other = self.model(resized.flip(1), reversed_points, iters=self.iterations)
            before = (torch.arange(T, device=points.device)[None, :, None] < points[:, None, :, 0])[..., None]
            tracks = torch.where(before, other.tracks.flip(1), tracks)
            scores = torch.where(before, torch.stack([other.visibility, other.confidence], -1).flip(1), scores)
        N = queries.shape[1]
        tracks, scores = tracks[:, :, :N].clone(), scores[:, :, :N]
        tracks[:, queries[0, :, 0].long(), torch.arange(N)] = points[:, :N, 1:]  # a query lies where it was put
        return type(found)(tracks=tracks / scale, visibility=scores[..., 0], confidence=scores[..., 1])


@torch.no_grad()
def track_stream(model: nn.Module, video: Tensor, queries: Tensor, *, state: object, iterations: int = ITERS) -> Prediction:
    """The online model fed with chunks of one window every half window; the last answer, which covers the whole video.

    The video may be uint8; a chunk at a time becomes float. `state` is a new `StreamState`. No support points, no second pass, and
    queries are not pinned, as in the public online predictor.
    """
    scale = pixel_scale(video.shape[-2:], model.model_resolution).to(queries)
    points = queries * F.pad(scale, (1, 0), value=1.0)
    for start in range(0, video.shape[1] - model.step, model.step):
        chunk = resize(video[:, start : start + model.window_len].to(queries), model.model_resolution)
        found = model.stream(chunk, points, state, iters=iterations)
    return type(found)(tracks=found.tracks / scale, visibility=found.visibility, confidence=found.confidence)


def resize(video: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, first pixel on first and last on last, without regard to the aspect ratio."""
    return F.interpolate(video.flatten(0, 1), size, mode="bilinear", align_corners=True).unflatten(0, video.shape[:2])


def pixel_scale(source: Sequence[int], target: Sequence[int]) -> Tensor:
    """What (x, y) are multiplied with when an image of (H, W) `source` is resized so."""
    return torch.tensor([(target[1] - 1) / (source[1] - 1), (target[0] - 1) / (source[0] - 1)])


def support_queries(size: tuple[int, int]) -> Tensor:
    """A grid of 6x6 points on frame 0, "1 36 3", x fastest; the margin is a 64th of the width on all sides."""
    height, width = size
    x, y = (torch.linspace(width / 64, side - width / 64, SUPPORT) for side in (width, height))
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return F.pad(torch.stack([columns, rows], -1).reshape(1, -1, 2), (1, 0))
