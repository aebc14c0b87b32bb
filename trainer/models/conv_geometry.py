"""The backbone with convolutional dense heads, as TrajVG and Pi3X have them."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from trainer.models.backbone import Backbone
from trainer.models.config import ModelConfig
from trainer.models.config_checks import backbone_faults, check_sizes, conv_head_faults
from trainer.models.conv_head import ConvHead
from trainer.models.memory import full_precision
from trainer.models.outputs import ModelOutput
from trainer.models.point_maps import MAX_LOG_DEPTH, camera_to_world, decode_points


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Geometry:
    """A reconstruction, and the decoder's features that a tracker may want."""

    output: ModelOutput  # without tracks
    grid: tuple[int, int]  # (h, w), patches of a frame
    pairs: list[Tensor]  # float32 "BT L 2C" each


class ConvGeometry(Backbone):
    """Point maps, confidence and poses; the logarithm of depth is clamped from above."""

    def __init__(self, config: ModelConfig) -> None:
        check_sizes(config, backbone_faults, conv_head_faults)
        super().__init__(config)
        patch, again = config.encoder.patch_size, config.computing.gradient_checkpointing
        self.point_head = ConvHead(config.point_head, patch_size=patch, gradient_checkpointing=again)
        self.conf_head = ConvHead(config.conf_head, patch_size=patch, gradient_checkpointing=again)

    def geometry(self, images: Tensor, pairs: Sequence[int] = ()) -> Geometry:
        """Images "B T 3 H W" in [0, 1] to geometry, and the asked-for pairs of decoder blocks."""
        features = self.features(images, pairs)
        with full_precision(images.device):
            xy, log_depth = self.point_head(features.point_tokens.float(), features.grid)
            points = decode_points(xy.permute(0, 2, 3, 1), log_depth.clamp(max=MAX_LOG_DEPTH).permute(0, 2, 3, 1))
            local_points = points.unflatten(0, images.shape[:2])
            conf = self.conf_head(features.conf_tokens.float(), features.grid)[0].permute(0, 2, 3, 1).unflatten(0, images.shape[:2])
            output = ModelOutput(
                points=camera_to_world(local_points, features.camera_poses),
                local_points=local_points,
                conf=conf,
                camera_poses=features.camera_poses,
            )
        return Geometry(output=output, grid=features.grid, pairs=features.pairs)
