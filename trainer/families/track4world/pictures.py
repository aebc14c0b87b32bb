"""Pictures of Track4World while it learns."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from networks.pi3 import ModelOutput
from networks.track4world import GeometryBundle
from networks.track4world.network import padding_of
from trainer.data import ClipBatch
from trainer.families.pictures import draw_reconstruction
from trainer.families.track4world.reading import TrackReadings
from trainer.geometry import nearest_pixels
from trainer.losses import TrackObservations


def draw_motion(clips: ClipBatch, bundle: GeometryBundle | None, readings: TrackReadings | None) -> dict[str, np.ndarray]:
    """Pictures of the first clip; none where no motion is learned.

    frames: some frames with the tracks that count; predicted_frames: with the predicted ones, where they are thought visible; and, where
    the bundle has poses, depth, points_from_above and tracks_from_above, as `draw_reconstruction` draws them.
    """
    if bundle is None or readings is None:
        return {}
    num_frames = clips.images.shape[1]
    pixels = _with_first(clips.query_points[0][None], readings.tracks_px[0, -1], num_frames)
    seen = _with_first(torch.ones_like(pixels[:1, :, 0]), readings.logits[0, -1, ..., 0].sigmoid().round(), num_frames)
    predicted = TrackObservations(tracks_px=_as_batch(pixels, clips), frame_weights=_as_batch(seen, clips))
    output = _geometry(clips, bundle, readings)
    shown = draw_reconstruction(clips, output)
    if bundle.camera_poses is None:
        shown = {"frames": shown["frames"]}
    return {**shown, "predicted_frames": draw_reconstruction(replace(clips, observations=predicted), output)["frames"]}


def _geometry(clips: ClipBatch, bundle: GeometryBundle, readings: TrackReadings) -> ModelOutput:
    """Points, cameras and the last iteration's 3D tracks of the first clip; cameras that are not known are the identity."""
    padding = padding_of(clips.images)
    local = padding.crop(bundle.points[:1]).permute(0, 1, 3, 4, 2)
    poses = bundle.camera_poses
    x, y = nearest_pixels(clips.query_points[0], (padding.height, padding.width))
    source = local[0, 0, y, x][None]
    tracks = _with_first(source, source + readings.flow3d[0, -1], clips.images.shape[1])
    return ModelOutput(
        points=local,
        local_points=local,
        conf=padding.crop(bundle.mask[:1])[..., None],
        camera_poses=torch.eye(4, device=local.device).expand(1, local.shape[1], 4, 4) if poses is None else poses[:1],
        traj3d_camera=[tracks[None]],
    )


def _with_first(first: Tensor, targets: Tensor, num_frames: int) -> Tensor:
    """Values of all frames "T N ...", from those of the targets; of a pair, whose only target is the second, with the first's own."""
    return torch.cat([first, targets]) if len(targets) < num_frames else targets


def _as_batch(values: Tensor, clips: ClipBatch) -> Tensor:
    """The first clip's values for all clips: the pictures are of the first alone."""
    return values[None].expand(len(clips.keys), *values.shape)
