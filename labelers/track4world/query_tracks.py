"""Tracks of a clip's queries out of Track4World's dense maps: in pixels by the 2D flow, in the world by the depth of the 3D flow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from labelers.track4world.engine import Track4WorldEngine
from labelers.track4world.targets import ClipGeometry, move_points
from networks.track4world.bundle import Padding
from networks.track4world.correlation import sample_maps
from networks.track4world.unprojection import lift


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class QueryTracks:
    """Tracks of N queries over the T frames that the network saw."""

    tracks_px: np.ndarray  # float32 "T N 2", (x, y), integers at pixel centres
    visibility: np.ndarray  # float32 "T N" in [0, 1]
    confidence: np.ndarray  # float32 "T N" in [0, 1]
    tracks_world: np.ndarray  # float32 "T N 3", in the camera of frame 0, in the clip's unit; NaN where not known


def track_queries(engine: Track4WorldEngine, frames: np.ndarray, queries: np.ndarray) -> QueryTracks:
    """Follow queries through a clip, those of each query frame together: one run to the clip's end, and one back to its start.

    Geometry is computed once for the clip, so that all runs share its unit, world and camera. Flow is read between pixels, bilinear;
    depth, visibility and confidence are those of the nearest pixel, so that none is mixed across an edge. In its query frame a
    track is at its query, with both scores 1. A position in the world is not known where the query's pixel has no valid geometry
    (sky), and where its depth would not be positive.

    Args:
        frames: uint8 "T H W 3", T of 2 or more.
        queries: float32 "N 3", (t, x, y), pixels of these frames.
    Raises: as the engine.
    """
    height, width = frames.shape[1:3]
    bundle = engine.geometry(frames)
    clip = ClipGeometry.of_bundle(bundle, Padding(height=height, width=width), len(frames))
    found = _Found.of(len(frames), queries)
    for frame in np.unique(queries[:, 0]).astype(int).tolist():
        chosen = np.flatnonzero(queries[:, 0] == frame)
        places = _Places.of(torch.from_numpy(queries[chosen, 1:]).to(clip.points.device), (height, width))
        known = places.nearest(clip.valid[frame])
        for part in engine.track_frame(frames, frame, bundle):
            depth = places.nearest(part.maps.points[:, 2]) - part.geometry.camera.shift
            scores = places.nearest(part.maps.visconf).transpose(1, 2)
            found.write(part.frames, chosen, places.moved(part.maps.pixels), depth.where(known, torch.nan), scores)
        own = places.nearest(clip.points[frame, 2]).where(known, torch.nan)
        found.write([frame], chosen, places.at[None], own[None], torch.ones_like(places.at)[None])
    return QueryTracks(
        tracks_px=found.tracks_px,
        visibility=found.scores[..., 0].copy(),
        confidence=found.scores[..., 1].copy(),
        tracks_world=_world(found, clip, pixel_offset=engine.config.pixel_offset),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Tracks as they are gathered: where, how sure, and how deep in the camera of each frame, without the shift of depth."""

    tracks_px: np.ndarray  # float32 "T N 2"
    scores: np.ndarray  # float32 "T N 2", visibility and confidence
    depth: np.ndarray  # float32 "T N"; NaN where the query's pixel has no geometry

    @classmethod
    def of(cls, num_frames: int, queries: np.ndarray) -> "_Found":
        """Nothing yet."""
        size = (num_frames, len(queries))
        return cls(np.zeros((*size, 2), np.float32), np.zeros((*size, 2), np.float32), np.full(size, np.nan, np.float32))

    def write(self, frames: Sequence[int], tracks: np.ndarray, tracks_px: Tensor, depth: Tensor, scores: Tensor) -> None:
        """Write n of the tracks in K of the frames: "K n 2", "K n", "K n 2"."""
        place = np.ix_(np.asarray(frames), tracks)
        for array, values in ((self.tracks_px, tracks_px), (self.depth, depth), (self.scores, scores)):
            array[place] = values.cpu().numpy()


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Places in a frame, and the pixels nearest to them."""

    at: Tensor  # float32 "n 2", (x, y)
    rows: Tensor  # int64 "n"
    columns: Tensor  # int64 "n"

    @classmethod
    def of(cls, at: Tensor, size: tuple[int, int]) -> "_Places":
        """Of a frame of (H, W) pixels."""
        nearest = at.round().long()
        return cls(at, nearest[:, 1].clamp(0, size[0] - 1), nearest[:, 0].clamp(0, size[1] - 1))

    def nearest(self, maps: Tensor) -> Tensor:
        """Values of maps "... H W", "... n"."""
        return maps[..., self.rows, self.columns]

    def moved(self, targets: Tensor) -> Tensor:
        """The places moved by the flow whose target pixels are maps "K 2 H W", bilinear: "K n 2"."""
        y, x = torch.meshgrid(*(torch.arange(side, device=targets.device) for side in targets.shape[-2:]), indexing="ij")
        where = self.at.T[None, :, None].expand(len(targets), -1, -1, -1)  # "K 2 1 n"
        return self.at + sample_maps(targets - torch.stack([x, y]), where)[:, :, 0].transpose(1, 2)


def _world(found: _Found, clip: ClipGeometry, *, pixel_offset: float) -> np.ndarray:
    """Positions float32 "T N 3" in the camera of frame 0."""
    depth = torch.from_numpy(found.depth)[:, None] + clip.camera.shift  # "T 1 N"
    pixels = torch.from_numpy(found.tracks_px).permute(0, 2, 1)[:, :, None]  # "T 2 1 N"
    size = (clip.points.shape[-2], clip.points.shape[-1])
    points = lift(pixels, depth, clip.intrinsics, pixel_offset=pixel_offset, size=size)
    poses = clip.poses().cpu()
    world = move_points(points, torch.linalg.solve(poses[:1], poses))[:, :, 0].permute(0, 2, 1)
    return np.where((depth[:, 0] > 0)[..., None].numpy(), world.numpy(), np.nan).astype(np.float32)
