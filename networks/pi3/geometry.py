"""Output records of the networks: points, confidence, poses and tracks; and the backbone with convolutional dense heads."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from networks.layers.computing import full_precision
from networks.pi3.backbone import Backbone
from networks.pi3.config import ModelConfig, backbone_faults, check_sizes, conv_head_faults
from networks.pi3.heads import ConvHead

MAX_LOG_DEPTH = 15.0  # TrajVG's clamp: e^15 is 3.3 million


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModelOutput:
    """Geometry of B clips of T frames, and tracks of N queries; lengths in a scale that the network chooses, cameras OpenCV.

    A model without tracker (π³, Pi3X) leaves the tracks None. Lists have one entry per iteration of the tracker, the last the best.
    """

    points: Tensor  # "B T H W 3", in the world frame that the network chooses (frame 0 is not its origin)
    local_points: Tensor  # "B T H W 3", in each frame's camera
    conf: Tensor | None  # "B T H W 1", logit; None where it was not asked for
    camera_poses: Tensor  # "B T 4 4", camera to world
    traj3d_camera: list[Tensor] | None = None  # "B T N 3" each, in the camera of frame t
    traj3d_world: list[Tensor] | None = None  # "B T N 3" each, in the world frame
    visibility: Tensor | None = None  # "B T N", in [0, 1], of the last iteration
    visibility_logits: list[Tensor] | None = None  # "B T N" each
    camera_found: Tensor | None = None  # bool "B T", of a model whose cameras are solved from its points; None: it predicts them


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Geometry:
    """A reconstruction, and the decoder's features for a tracker."""

    output: ModelOutput  # without tracks
    grid: tuple[int, int]  # (h, w), patches of a frame
    pairs: list[Tensor]  # float32 "BT L 2C" each


class ConvGeometry(Backbone):
    """Point maps, confidence and poses; the logarithm of depth is clamped from above."""

    def __init__(self, config: ModelConfig) -> None:
        check_sizes(config, backbone_faults, conv_head_faults)
        super().__init__(config)
        patch, again, at_once = config.encoder.patch_size, config.computing.gradient_checkpointing, config.computing.frames_at_once
        self.point_head = ConvHead(config.point_head, patch_size=patch, gradient_checkpointing=again, frames_at_once=at_once)
        self.conf_head = ConvHead(config.conf_head, patch_size=patch, gradient_checkpointing=again, frames_at_once=at_once)

    def geometry(self, images: Tensor, pairs: Sequence[int] = (), *, confidence: bool = True) -> Geometry:
        """Images "B T 3 H W" in [0, 1] to geometry, and the asked-for pairs of decoder blocks.

        Args:
            confidence: False leaves the confidence branch out, and `conf` None.
        """
        features = self.features(images, pairs, confidence=confidence)
        with full_precision(images.device):
            xy, log_depth = self.point_head(features.point_tokens.float(), features.grid)
            points = decode_points(xy.permute(0, 2, 3, 1), log_depth.clamp(max=MAX_LOG_DEPTH).permute(0, 2, 3, 1))
            local_points = points.unflatten(0, images.shape[:2])
            output = ModelOutput(
                points=camera_to_world(local_points, features.camera_poses),
                local_points=local_points,
                conf=None if features.conf_tokens is None else self._confidence(features.conf_tokens, features.grid, images.shape[:2]),
                camera_poses=features.camera_poses,
            )
        return Geometry(output=output, grid=features.grid, pairs=features.pairs)

    def _confidence(self, tokens: Tensor, grid: tuple[int, int], batch_frames: tuple[int, ...]) -> Tensor:
        return self.conf_head(tokens.float(), grid)[0].permute(0, 2, 3, 1).unflatten(0, batch_frames)


def decode_points(xy: Tensor, log_depth: Tensor) -> Tensor:
    """(x', y', z') to (x' z, y' z, z) with z = exp(z').

    Args:
        xy: "... 2".
        log_depth: "... 1".
    Returns: "... 3".
    """
    depth = log_depth.exp()
    return torch.cat([xy * depth, depth], dim=-1)


def camera_to_world(points: Tensor, poses: Tensor) -> Tensor:
    """Points of each frame's camera in the world: R p + t.

    Args:
        points: "B T ... 3".
        poses: "B T 4 4", camera to world.
    Returns: "B T ... 3". Gradient flows to both.
    """
    flat = points.flatten(2, -2)  # "B T K 3"
    return (flat @ poses[..., :3, :3].mT + poses[..., None, :3, 3]).unflatten(2, points.shape[2:-1])
