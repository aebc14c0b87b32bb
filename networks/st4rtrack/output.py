"""Output record of the twin networks, and the activations that raw numbers pass through."""

from dataclasses import dataclass

import torch
from torch import Tensor

_SMALLEST = 1e-8  # of a raw vector's length


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TwinOutput:
    """Two point maps of a pair, both in the first camera's axes (OpenCV), up to scale unless the weights are metric.

    St4RTrack's meaning, for frames 1 and j: map 1 holds where the points that frame 1 shows are at time j (tracking branch), map 2 the
    geometry that frame j shows at its own time (reconstruction branch). DUSt3R and MASt3R know no time: the scene is static.
    """

    point_map_1: Tensor  # float32 "B H W 3", a point per pixel of image 1
    confidence_1: Tensor  # float32 "B H W", above 1
    point_map_2: Tensor  # float32 "B H' W' 3", a point per pixel of image 2
    confidence_2: Tensor  # float32 "B H' W'", above 1
    descriptors_1: Tensor | None = None  # MASt3R: float32 "B H W D", of unit length
    descriptor_confidence_1: Tensor | None = None  # MASt3R: float32 "B H W", above 0
    descriptors_2: Tensor | None = None  # "B H' W' D"
    descriptor_confidence_2: Tensor | None = None  # "B H' W'"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DenseMaps:
    """Output of one head."""

    point_map: Tensor  # "B H W 3"
    confidence: Tensor  # "B H W"
    descriptors: Tensor | None = None  # "B H W D"
    descriptor_confidence: Tensor | None = None  # "B H W"


def pair_output(first: DenseMaps, second: DenseMaps) -> TwinOutput:
    """Both heads' maps as one record."""
    return TwinOutput(
        point_map_1=first.point_map,
        confidence_1=first.confidence,
        point_map_2=second.point_map,
        confidence_2=second.confidence,
        descriptors_1=first.descriptors,
        descriptor_confidence_1=first.descriptor_confidence,
        descriptors_2=second.descriptors,
        descriptor_confidence_2=second.descriptor_confidence,
    )


def decode_points(raw: Tensor) -> Tensor:
    """Points from raw vectors: their direction, at the distance exp(|raw|) - 1.

    Args:
        raw: "... 3". A length above 88 gives inf, as in the public code.
    """
    length = raw.norm(dim=-1, keepdim=True)
    return raw / length.clamp_min(_SMALLEST) * torch.expm1(length)


def decode_confidence(raw: Tensor) -> Tensor:
    """Confidence 1 + exp(raw), any shape."""
    return 1 + raw.exp()


def decode_maps(raw: Tensor) -> DenseMaps:
    """Raw maps "B 4 H W" (x, y, z, confidence) to points and confidence."""
    last = raw.permute(0, 2, 3, 1)
    return DenseMaps(point_map=decode_points(last[..., :3]), confidence=decode_confidence(last[..., 3]))
