"""The tracking head: from feature maps, point maps and queries to 3D tracks, iteration by iteration."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.models.config import TrackHeadConfig
from trainer.models.memory import recomputed
from trainer.models.tracker.boxes import Boxes, boxes_of
from trainer.models.tracker.pyramid import build_pyramid
from trainer.models.tracker.sampling import sample_nearest
from trainer.models.tracker.tracker import Scene, Tracker


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CameraTracks:
    """Tracks in each frame's own camera, an entry per iteration."""

    points_camera: list[Tensor]  # "B T Q 3" each
    visibility_logits: list[Tensor]  # "B T Q" each


class TrackHead(nn.Module):
    """Start every track in frame 0 at its query, elsewhere in the middle of the frame's box, and let the tracker improve it."""

    def __init__(self, config: TrackHeadConfig, *, neighbour_mb: float = 256.0, gradient_checkpointing: bool = False) -> None:
        super().__init__()
        self.config = config
        self.gradient_checkpointing = gradient_checkpointing
        self.tracker = Tracker(config, neighbour_mb=neighbour_mb)

    def forward(self, feature_maps: Tensor, local_points: Tensor, query_points: Tensor) -> CameraTracks:
        """Track.

        Args:
            feature_maps: float32 "B T C H/2 W/2".
            local_points: float32 "B T H W 3", in each frame's camera. Detached here if the configuration says so.
            query_points: "B Q 2", (x, y) in pixels of frame 0.
        """
        if self.config.detach_inputs:
            local_points = local_points.detach()
        local_maps = local_points.permute(0, 1, 4, 2, 3)  # "B T 3 H W"
        size = (feature_maps.shape[-2], feature_maps.shape[-1])
        cells = F.interpolate(local_maps.flatten(0, 1), size=size, mode="nearest-exact").flatten(2).mT.unflatten(0, local_maps.shape[:2])
        boxes = boxes_of(cells)
        scene = self.scene(feature_maps, boxes.normalised(cells), query_points)
        start = boxes.normalised(sample_nearest(local_maps[:, 0], query_points)[:, None])[:, 0]  # one frame of points in all boxes
        return self._iterated(scene, boxes, start)

    def scene(self, feature_maps: Tensor, cells: Tensor, query_points: Tensor) -> Scene:
        """Features "B T C h w", points of the boxes "B T hw 3" and queries "B Q 2" in pixels to what tracks are compared with."""
        size = (feature_maps.shape[-2], feature_maps.shape[-1])
        features = self.tracker.normalised_features(feature_maps.flatten(0, 1))
        points = cells.flatten(0, 1).mT.unflatten(2, size)
        pyramid = build_pyramid(points, features, num_levels=self.config.corr_levels, num_neighbours=self.config.k_neighbors)
        tokens = self.tracker.corr_module.query_tokens(pyramid, query_points / self.config.stride)
        return Scene(pyramid=pyramid, query_tokens=tokens)

    def _iterated(self, scene: Scene, boxes: Boxes, start: Tensor) -> CameraTracks:
        """Run the iterations from queries "B Q 3" in frame 0's box."""
        batch, num_frames = boxes.low.shape[:2]
        coordinates = start.new_zeros(batch, num_frames, *start.shape[1:])
        coordinates[:, 0] = start.detach()
        logits = coordinates[..., 0] * 0
        points, all_logits = [], []
        for _ in range(self.config.iters):
            coordinates, logits = coordinates.detach(), logits.detach()
            step = recomputed(lambda x, v: self.tracker(scene, x, v), coordinates, logits, enabled=self.gradient_checkpointing)
            coordinates, logits = coordinates + step[..., :3], logits + step[..., 3]
            points.append(boxes.denormalised(coordinates))
            all_logits.append(logits)
        return CameraTracks(points_camera=points, visibility_logits=all_logits)
