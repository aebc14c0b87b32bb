"""TrajVG: π³'s geometry with convolutional heads, and a 3D tracker on top of it."""

import dataclasses

from torch import Tensor

from trainer.models.config import ModelConfig
from trainer.models.config_checks import backbone_faults, check_sizes, conv_head_faults, tracking_faults
from trainer.models.conv_geometry import ConvGeometry, Geometry
from trainer.models.memory import full_precision
from trainer.models.outputs import ModelOutput
from trainer.models.point_maps import camera_to_world
from trainer.models.track_decoder import TrackDecoder
from trainer.models.tracker.head import TrackHead
from trainer.models.tracker.pyramid import check_map_size
from trainer.models.tracker.queries import check_queries, grid_queries


class TrajVG(ConvGeometry):
    """The network of the public TrajVG checkpoint: 1798 entries at full size."""

    def __init__(self, config: ModelConfig) -> None:
        check_sizes(config, backbone_faults, conv_head_faults, tracking_faults)
        super().__init__(config)
        again = config.computing.gradient_checkpointing
        self.track_decoder = TrackDecoder(
            config.track_decoder, num_registers=config.decoder.num_register_tokens, frames_at_once=config.computing.frames_at_once
        )
        self.track_decoder.gradient_checkpointing = again
        self.track_head = TrackHead(config.track_head, neighbour_mb=config.computing.neighbour_mb, gradient_checkpointing=again)

    def forward(self, images: Tensor, query_points: Tensor | None = None) -> ModelOutput:
        """Reconstruct clips and track points.

        Args:
            images: "B T 3 H W" in [0, 1], H and W multiples of 14.
            query_points: "B N 2", (x, y) in pixels of frame 0; None for a grid of one point every 16 pixels.
        Returns:
            Geometry and tracks. Unless the configuration says otherwise the tracker sees point maps detached, so a loss on tracks in
            camera frames moves neither point head nor point decoder; world tracks also carry gradient to the poses.
        Raises: DataError if shapes do not fit, or the images are too small for the tracker.
        """
        if query_points is None:
            query_points = grid_queries(images)
        check_queries(query_points, images)
        geometry = self.geometry(images, self.config.track_decoder.intermediate_layer_idx)
        return self._tracked(geometry, query_points)

    def check_trackable(self, height: int, width: int) -> None:
        """Raise DataError if images of this size, in pixels, are too small for the tracker."""
        patch, tracker = self.config.encoder.patch_size, self.config.track_head
        size = self.track_decoder.map_size((height // patch, width // patch))
        check_map_size(size, tracker.corr_levels, tracker.k_neighbors)

    def _tracked(self, geometry: Geometry, query_points: Tensor) -> ModelOutput:
        output = geometry.output
        batch_frames = output.local_points.shape[:2]
        feature_maps = self.track_decoder(geometry.pairs, geometry.grid).float().unflatten(0, batch_frames)
        with full_precision(query_points.device):
            tracks = self.track_head(feature_maps, output.local_points, query_points.float())
            world = [camera_to_world(points, output.camera_poses) for points in tracks.points_camera]
        return dataclasses.replace(
            output,
            traj3d_camera=tracks.points_camera,
            traj3d_world=world,
            visibility=tracks.visibility_logits[-1].sigmoid(),
            visibility_logits=tracks.visibility_logits,
        )
