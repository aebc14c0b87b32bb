"""π³: point maps, confidence and poses by linear heads."""

from torch import Tensor

from trainer.models.backbone import Backbone
from trainer.models.config import ModelConfig
from trainer.models.config_checks import backbone_faults, check_sizes
from trainer.models.linear_head import LinearHead
from trainer.models.memory import full_precision
from trainer.models.outputs import ModelOutput
from trainer.models.point_maps import camera_to_world, decode_points


class Pi3(Backbone):
    """The network of the public π³ checkpoint: 1210 entries at full size."""

    def __init__(self, config: ModelConfig) -> None:
        check_sizes(config, backbone_faults)
        super().__init__(config)
        width, patch = config.point_decoder.out_dim, config.encoder.patch_size
        self.point_head = LinearHead(width, patch, 3)
        self.conf_head = LinearHead(width, patch, 1)

    def forward(self, images: Tensor, query_points: Tensor | None = None) -> ModelOutput:
        """Reconstruct clips.

        Args:
            images: "B T 3 H W" in [0, 1], H and W multiples of 14.
            query_points: not looked at: π³ tracks nothing, and is called like a model that does.
        """
        features = self.features(images)
        with full_precision(images.device):
            raw = self.point_head(features.point_tokens.float(), features.grid).permute(0, 2, 3, 1)
            local_points = decode_points(raw[..., :2], raw[..., 2:]).unflatten(0, images.shape[:2])
            conf = self.conf_head(features.conf_tokens.float(), features.grid).permute(0, 2, 3, 1).unflatten(0, images.shape[:2])
            points = camera_to_world(local_points, features.camera_poses)
        return ModelOutput(points=points, local_points=local_points, conf=conf, camera_poses=features.camera_poses)
