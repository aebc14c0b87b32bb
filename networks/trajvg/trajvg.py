"""TrajVG: π³'s geometry with convolutional heads, feature maps from four pairs of decoder blocks, and a 3D tracker on top of them."""

import dataclasses

import torch
from torch import Tensor, nn

from networks.layers.compiling import compile_blocks
from networks.layers.computing import checkpointed, full_precision
from networks.layers.fusion import Scratch, resize_bilinear
from networks.pi3.config import ModelConfig, TrackDecoderConfig, backbone_faults, check_sizes, conv_head_faults, tracking_faults
from networks.pi3.geometry import ConvGeometry, Geometry, ModelOutput, camera_to_world
from networks.trajvg.correlation import check_map_size
from networks.trajvg.track_head import TrackHead, check_queries, grid_queries
from networks.trajvg.tracker import CrossBlock, SelfBlock


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
        if config.computing.compile:
            compile_blocks(self.track_head, (SelfBlock, CrossBlock))

    def forward(self, images: Tensor, query_points: Tensor | None = None, *, confidence: bool = True) -> ModelOutput:
        """Reconstruct clips and track points.

        Args:
            images: "B T 3 H W" in [0, 1], H and W multiples of 14.
            query_points: "B N 2", (x, y) in pixels of frame 0; None for a grid of one point every 16 pixels.
            confidence: False leaves the confidence branch out, and `conf` None.
        Returns:
            Geometry and tracks. Unless the configuration says otherwise the tracker sees point maps detached, so a loss on tracks in
            camera frames moves neither point head nor point decoder; world tracks also carry gradient to the poses.
        Raises: DataError if shapes do not fit, or the images are too small for the tracker.
        """
        if query_points is None:
            query_points = grid_queries(images)
        check_queries(query_points, images)
        geometry = self.geometry(images, self.config.track_decoder.intermediate_layer_idx, confidence=confidence)
        return self._track(geometry, query_points)

    def check_trackable(self, height: int, width: int) -> None:
        """Raise DataError if images of this size, in pixels, are too small for the tracker."""
        patch, tracker = self.config.encoder.patch_size, self.config.track_head
        size = self.track_decoder.map_size((height // patch, width // patch))
        check_map_size(size, tracker.corr_levels, tracker.k_neighbors)

    def _track(self, geometry: Geometry, query_points: Tensor) -> ModelOutput:
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


class TrackDecoder(nn.Module):
    """Tokens of four depths become maps of four resolutions and are fused."""

    def __init__(self, config: TrackDecoderConfig, *, num_registers: int, frames_at_once: int = 8) -> None:
        super().__init__()
        self.patch_size, self.down_ratio, self.token_layout = config.patch_size, config.down_ratio, config.token_layout
        self.num_registers, self.frames_at_once = num_registers, frames_at_once
        self.gradient_checkpointing = False
        one, two, three, four = config.out_channels
        self.norm = nn.LayerNorm(config.dim_in)
        self.projects = nn.ModuleList(nn.Conv2d(config.dim_in, count, kernel_size=1) for count in config.out_channels)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(one, one, kernel_size=4, stride=4),
                nn.ConvTranspose2d(two, two, kernel_size=2, stride=2),
                nn.Identity(),
                nn.Conv2d(four, four, kernel_size=3, stride=2, padding=1),
            ]
        )
        self.scratch = Scratch((one, two, three, four), config.features)

    def forward(self, pairs: list[Tensor], grid: tuple[int, int]) -> Tensor:
        """Pair features "BT L C" of a grid (h, w) to "BT features H/2 W/2" (floor); a few frames at a time, which do not see each other."""
        groups = zip(*(pair.split(self.frames_at_once) for pair in pairs), strict=True)
        step = lambda *group: self._frames(list(group), grid)  # noqa: E731  binds the grid, which checkpointing need not see
        return torch.cat([checkpointed(step, *group, enabled=self.gradient_checkpointing) for group in groups])

    def _frames(self, pairs: list[Tensor], grid: tuple[int, int]) -> Tensor:
        to_patches = clean_patches if self.token_layout == "clean" else reference_patches
        levels = []
        for pair, project, resize in zip(pairs, self.projects, self.resize_layers, strict=True):
            tokens = self.norm(to_patches(pair, self.num_registers))
            levels.append(resize(project(tokens.transpose(1, 2).unflatten(2, grid))))
        return resize_bilinear(self.scratch(levels), self.map_size(grid))

    def map_size(self, grid: tuple[int, int]) -> tuple[int, int]:
        """(h, w) of the feature maps of a grid of patches."""
        return int(grid[0] * self.patch_size / self.down_ratio), int(grid[1] * self.patch_size / self.down_ratio)


def clean_patches(tokens: Tensor, num_registers: int) -> Tensor:
    """Drop the register tokens: "B L C" to "B P C"."""
    return tokens[:, num_registers:]


def reference_patches(tokens: Tensor, num_registers: int) -> Tensor:
    """Drop entries as the public code does: "B L C" to "B P C", tokens and channels mixed.

    A frame's buffer of L rows of C is read as C rows of L, without transposing; of each such row the first `num_registers` entries
    are dropped; what remains is read as P rows of C. The public weights were trained so.
    """
    count, channels = tokens.shape[1:]
    kept = tokens.flatten(1).unflatten(1, (channels, count))[..., num_registers:]
    return kept.flatten(1).unflatten(1, (count - num_registers, channels))
