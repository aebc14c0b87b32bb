"""The tracking head: from feature maps, point maps and queries to 3D tracks, iteration by iteration."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers.computing import checkpointed
from networks.pi3.config import TrackHeadConfig
from networks.trajvg.correlation import build_pyramid, sample_nearest
from networks.trajvg.tracker import TrackContext, Tracker
from pipeline.errors import DataError

_SMALLEST = 1e-6  # spread and size of a box
_SPACING = 16  # pixels between the default grid's points


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Boxes:
    """Each frame's own coordinates: its points' mean and three standard deviations become the box [-1, 1]^3."""

    low: Tensor  # "B T 3"
    size: Tensor  # "B T 3"

    def normalise(self, points: Tensor) -> Tensor:
        """Points "B T K 3" of each frame's camera to its box."""
        return 2 * (points - self.low[:, :, None]) / self.size[:, :, None] - 1

    def denormalise(self, coordinates: Tensor) -> Tensor:
        """Box coordinates "B T K 3" to points of each frame's camera."""
        return (coordinates + 1) / 2 * self.size[:, :, None] + self.low[:, :, None]


def frame_boxes(points: Tensor) -> Boxes:
    """Boxes around the points of each frame, "B T K 3", by sample standard deviation. Gradient flows to the points."""
    mean, spread = points.mean(dim=2), points.std(dim=2).clamp_min(_SMALLEST)
    low = mean - 3 * spread
    return Boxes(low=low, size=(mean + 3 * spread - low).clamp_min(_SMALLEST))


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
        boxes = frame_boxes(cells)
        context = self.context(feature_maps, boxes.normalise(cells), query_points)
        start = boxes.normalise(sample_nearest(local_maps[:, 0], query_points)[:, None])[:, 0]  # one frame of points in all boxes
        return self._iterate(context, boxes, start)

    def context(self, feature_maps: Tensor, cells: Tensor, query_points: Tensor) -> TrackContext:
        """Features "B T C h w", points of the boxes "B T hw 3" and queries "B Q 2" in pixels to what tracks are compared with."""
        size = (feature_maps.shape[-2], feature_maps.shape[-1])
        features = self.tracker.normalise_features(feature_maps.flatten(0, 1))
        points = cells.flatten(0, 1).mT.unflatten(2, size)
        pyramid = build_pyramid(points, features, num_levels=self.config.corr_levels, num_neighbours=self.config.k_neighbors)
        tokens = self.tracker.corr_module.query_tokens(pyramid, query_points / self.config.stride)
        return TrackContext(pyramid=pyramid, query_tokens=tokens)

    def begin(self, boxes: Boxes, start: Tensor) -> Tensor:
        """Coordinates "B T Q 3" of the first iteration: queries "B Q 3" in frame 0's box, the middle of the box in other frames."""
        coordinates = start.new_zeros(*boxes.low.shape[:2], *start.shape[1:])
        coordinates[:, 0] = start.detach()
        return coordinates

    def _iterate(self, context: TrackContext, boxes: Boxes, start: Tensor) -> CameraTracks:
        """Run the iterations from queries "B Q 3" in frame 0's box."""
        coordinates = self.begin(boxes, start)
        logits = coordinates[..., 0] * 0
        points, all_logits = [], []
        for _ in range(self.config.iters):
            coordinates, logits = coordinates.detach(), logits.detach()
            step = checkpointed(lambda x, v: self.tracker(context, x, v), coordinates, logits, enabled=self.gradient_checkpointing)
            coordinates, logits = coordinates + step[..., :3], logits + step[..., 3]
            points.append(boxes.denormalise(coordinates))
            all_logits.append(logits)
        return CameraTracks(points_camera=points, visibility_logits=all_logits)


def grid_queries(images: Tensor, spacing: int = _SPACING) -> Tensor:
    """A grid for images "B T 3 H W": (x, y) "B N 2" at spacing/2, 3 spacing/2, ..., row by row."""
    height, width = images.shape[-2:]
    columns = torch.arange(spacing / 2, width, spacing, device=images.device)
    rows = torch.arange(spacing / 2, height, spacing, device=images.device)
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).flatten(0, 1)
    return grid.float().expand(len(images), -1, -1)


def check_queries(query_points: Tensor, images: Tensor) -> None:
    """Raise DataError unless the queries "B N 2" belong to the images and there is one at least."""
    if query_points.ndim != 3 or query_points.shape[::2] != (len(images), 2) or not query_points.is_floating_point():
        raise DataError(
            f"query_points are {query_points.dtype}{list(query_points.shape)}, expected floating [{len(images)}, N, 2] as (x, y)"
        )
    if query_points.shape[1] == 0:
        raise DataError("query_points hold no query; give one at least, or call geometry() for a reconstruction without tracks")
