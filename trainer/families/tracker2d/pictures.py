"""Pictures of a 2D tracker while it learns."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from trainer.data import ClipBatch
from trainer.families.pictures import draw_frames
from trainer.families.tracker2d.losses import WindowPrediction
from trainer.losses import TrackObservations


def draw_tracks(clips: ClipBatch, windows: Sequence[WindowPrediction]) -> dict[str, np.ndarray]:
    """Frames of the first clip: with the tracks to learn where they are seen, and with the predicted ones that the model thinks visible."""
    tracks_px, seen = joined(windows, clips.images.shape[1])
    predicted = TrackObservations(tracks_px=tracks_px, frame_weights=seen)
    return {"frames": draw_frames(clips, clip=0), "predicted_frames": draw_frames(replace(clips, observations=predicted), clip=0)}


def joined(windows: Sequence[WindowPrediction], num_frames: int) -> tuple[Tensor, Tensor]:
    """Last refinements of all frames, a later window over an earlier one: positions "B T N 2", and 1 where visible "B T N"."""
    last = [(window.start, window.tracks_px[:, -1], (window.visibility_logits[:, -1] > 0).float()) for window in windows]
    tracks_px, seen = last[0][1], last[0][2]
    for start, positions, visible in last[1:]:
        tracks_px = torch.cat([tracks_px[:, :start], positions], dim=1)
        seen = torch.cat([seen[:, :start], visible], dim=1)
    return tracks_px[:, :num_frames], seen[:, :num_frames]
