"""Flow labels of a clip out of Track4World's pairs and runs, at the size of the clip."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from labelers.track4world.engine import Track4WorldEngine
from pipeline.records import FlowLabels

FlowPairs = Literal["stride", "reference"]
FLOW_LIMIT_PX = 511  # label sets reach a little farther

FrameFlow = tuple[int, Tensor, Tensor]  # frame that the map is kept at, target pixels "2 h w", visibility and confidence "2 h w"


def flow_of_pairs(engine: Track4WorldEngine, frames: np.ndarray, pairs: Mapping[int, tuple[int, int]]) -> Iterator[FrameFlow]:
    """Flow of pairs of frames, each pair by itself.

    Args:
        frames: uint8 "T h w 3".
        pairs: (from, to) by the frame that the map is kept at.
    """
    order = iter(pairs)
    for maps in engine.track_pairs(engine.encode(frames), list(pairs.values()), align=False):
        yield from ((next(order), pixels, visconf) for pixels, visconf in zip(maps.pixels, maps.visconf, strict=True))


def flow_from_frame(engine: Track4WorldEngine, frames: np.ndarray, reference: int) -> Iterator[FrameFlow]:
    """Flow from one frame of "T h w 3" to each other, window by window, in two runs over one geometry; kept at the other frame."""
    for part in engine.track_frame(frames, reference, engine.geometry(frames)):
        for frame, pixels, visconf in zip(part.frames, part.maps.pixels, part.maps.visconf, strict=True):
            if frame != reference:
                yield frame, pixels, visconf


def gather_flow(
    maps: Iterable[FrameFlow], pairs: Mapping[int, tuple[int, int]], *, num_frames: int, size: tuple[int, int], valid_above: float
) -> FlowLabels:
    """Maps as the labels of a clip. Those that the network made at another size are interpolated, and their vectors scaled.

    Args:
        pairs: (from, to) by the frame that the map is kept at.
        size: (H, W) of the labels.
        valid_above: visibility x confidence.
    """
    flow = np.zeros((num_frames, *size, 2), np.float32)
    valid, confidence = np.zeros(flow.shape[:3], bool), np.zeros(flow.shape[:3], np.float32)
    for frame, targets, visconf in maps:
        vectors = _resized(_vectors(targets), size) * _scale(targets, size)
        score = _resized(visconf.prod(dim=0, keepdim=True), size)[0].clamp(0, 1)
        known = (score > valid_above) & (vectors.abs() <= FLOW_LIMIT_PX).all(dim=0)
        flow[frame] = vectors.where(known, 0).permute(1, 2, 0).cpu().numpy()
        valid[frame], confidence[frame] = known.cpu().numpy(), score.cpu().numpy()
    ends = np.full((2, num_frames), -1, np.int32)
    for frame, pair in pairs.items():
        ends[:, frame] = pair
    return FlowLabels(flow=flow, valid=valid, from_frame=ends[0], to_frame=ends[1], confidence=confidence)


def _vectors(targets: Tensor) -> Tensor:
    """Flow "2 h w" to target pixels "2 h w"."""
    y, x = torch.meshgrid(*(torch.arange(side, device=targets.device) for side in targets.shape[-2:]), indexing="ij")
    return targets - torch.stack([x, y])


def _scale(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels (H, W) of labels per pixel of maps "2 h w", "2 1 1"."""
    return maps.new_tensor([size[1] / maps.shape[-1], size[0] / maps.shape[-2]])[:, None, None]


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps[None].float(), size, mode="bilinear", align_corners=False)[0]
