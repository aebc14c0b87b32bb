"""From a streamed clip to one of a step's: window, crop, tracks, mirror and colours, all drawn for this clip."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import DataError
from pipeline.records import ClipSample
from pipeline.records.views import crop, mirror, resize, take_frames, take_tracks
from trainer.data.augmentation import draw_colour_matrix, draw_crop, draw_window, moved_to_hold, recolour
from trainer.data.config import AugmentConfig, DataConfig
from trainer.data.prepared import PreparedClip
from trainer.data.step_shape import StepShape
from trainer.data.tracks_seen import clip_name, draw_tracks, pseudo_starts, seen_weight, true_starts
from trainer.data.truth import check_truth, frames_with_geometry, prepared_truth


def prepare_labelled(sample: ClipSample, shape: StepShape, config: DataConfig, draw: np.random.Generator) -> PreparedClip:
    """A clip with truth, beginning where its pose and depth are valid and tracks are in sight.

    Raises: DataError, naming dataset and clip, if it lacks cameras or depth, or they are not what they should be.
    """
    check_truth(sample)
    weight = None if sample.tracks2d is None else seen_weight(sample, pseudo=False)
    starts = true_starts(sample, weight, frames_with_geometry(sample))
    sample = take_frames(sample, draw_window(starts, shape.frames, config.augment, draw))
    sample = _changed(sample, shape, config.augment, draw, pseudo=False)
    if sample.tracks2d is None:
        sample = _without_tracks(sample)
    else:
        asked = seen_weight(sample, pseudo=False)[0]
        sample = take_tracks(sample, draw_tracks(asked, config.num_tracks, draw))
    clip = _prepared(sample, seen_weight(sample, pseudo=False), config.num_tracks)
    return replace(clip, truth=prepared_truth(sample, clip.frame_weights > 0, config.num_tracks))


def prepare_pseudo(sample: ClipSample, shape: StepShape, config: DataConfig, draw: np.random.Generator) -> PreparedClip:
    """A clip with pseudo tracks, beginning where they were asked; tracks are drawn by their weight in the window.

    Raises: DataError, naming dataset and clip, if no track counts in the window.
    """
    starts = pseudo_starts(sample, seen_weight(sample, pseudo=True))
    sample = take_frames(sample, draw_window(starts, shape.frames, config.augment, draw))
    sample = _changed(sample, shape, config.augment, draw, pseudo=True)
    weight = seen_weight(sample, pseudo=True)
    drawn = draw_tracks(weight.mean(0) * (weight[0] > 0), config.num_tracks, draw)
    if not len(drawn):
        raise DataError(
            f"{clip_name(sample)}: none of its {weight.shape[1]} pseudo tracks counts in the first of the frames"
            f" {sample.frame_indices.tolist()} within the crop; label it with more queries, or widen augment.crop_side"
        )
    sample = take_tracks(sample, drawn)
    clip = _prepared(sample, weight[:, drawn], config.num_tracks)
    signal = None if sample.pose_signal is None else torch.from_numpy(sample.pose_signal).float()
    return replace(clip, static_score=_padded_scores(sample.static_score, config.num_tracks), pose_weight=signal)


def _changed(sample: ClipSample, shape: StepShape, augment: AugmentConfig, draw: np.random.Generator, *, pseudo: bool) -> ClipSample:
    """Cropped about one of the tracks that are seen in the first frame, mirrored and recoloured."""
    stored, size = sample.frames.shape[1:3], (shape.height, shape.width)
    rectangle = draw_crop(stored, size, augment.crop_side, draw)
    if sample.tracks2d is not None:
        seen = seen_weight(sample, pseudo=pseudo)[0]
        held = draw_tracks(seen, 1, draw)
        rectangle = rectangle if not len(held) else moved_to_hold(rectangle, stored, sample.tracks2d[0, held[0]])
    is_mirrored = draw.random() < augment.mirror
    colours = draw_colour_matrix(augment, draw)
    sample = resize(crop(sample, rectangle), size)
    sample = mirror(sample) if is_mirrored else sample
    return replace(sample, frames=recolour(sample.frames, colours))


def _without_tracks(sample: ClipSample) -> ClipSample:
    num_frames = len(sample.frames)
    return replace(
        sample,
        tracks2d=np.zeros((num_frames, 0, 2), np.float32),
        visibility=np.zeros((num_frames, 0), bool),
        tracks3d_world=np.zeros((num_frames, 0, 3), np.float32),
    )


def _prepared(sample: ClipSample, weight: np.ndarray, num_tracks: int) -> PreparedClip:
    """The clip with its tracks filled up to N: at the middle of the image, with weight 0."""
    assert sample.tracks2d is not None, "a clip without tracks was given none"
    num_frames, height, width, _ = sample.frames.shape
    tracks_px = torch.tensor([(width - 1) / 2, (height - 1) / 2]).repeat(num_frames, num_tracks, 1)
    filled = torch.zeros(num_frames, num_tracks)
    found = weight.shape[1]
    tracks_px[:, :found], filled[:, :found] = torch.from_numpy(sample.tracks2d), torch.from_numpy(weight)
    return PreparedClip(
        key=sample.key,
        dataset=sample.dataset or "",
        license=sample.license,
        index=sample.index,
        is_metric=sample.is_metric,
        images=torch.from_numpy(np.ascontiguousarray(sample.frames)),
        tracks_px=tracks_px,
        frame_weights=filled,
    )


def _padded_scores(scores: np.ndarray | None, num_tracks: int) -> Tensor | None:
    if scores is None:
        return None
    padded = torch.full((num_tracks,), torch.nan)
    padded[: len(scores)] = torch.from_numpy(scores)
    return padded
