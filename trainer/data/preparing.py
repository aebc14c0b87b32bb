"""One streamed clip as a training step takes it: truth checked, window, crop, tracks, mirror and colours drawn."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import DataError
from pipeline.records import ClipSample
from pipeline.records.views import crop, mirror, resize, take_frames, take_tracks
from trainer.data.augmentation import StepShape, draw_colour_matrix, draw_crop, draw_window, recolour, shift_crop_onto
from trainer.data.batches import PreparedClip, PreparedTruth
from trainer.data.config import AugmentConfig, DataConfig
from trainer.data.track_queries import (
    draw_ordered_window,
    labelled_positions,
    labelled_query_frames,
    queries_asked_at,
    track_queries,
    true_query_frames,
)
from trainer.data.track_weights import clip_name, draw_tracks, known_tracks, pseudo_start_weights, true_start_weights, visible_weights

_RIGID = 1e-3  # largest entry of R^T R - I: float32 poses written as text are this good


def prepare_labelled(sample: ClipSample, shape: StepShape, config: DataConfig, draw: np.random.Generator) -> PreparedClip:
    """A clip with truth, beginning at a frame with valid pose and depth and visible tracks.

    Raises: DataError, naming dataset and clip, if it lacks cameras or depth, or they are not what they should be.
    """
    check_truth(sample)
    weight = None if sample.tracks2d is None else visible_weights(sample, pseudo=False)
    starts = true_start_weights(sample, weight, frames_with_geometry(sample))
    own = config.queries == "own"
    sample = take_frames(sample, (draw_ordered_window if own else draw_window)(starts, shape.frames, config.augment, draw))
    sample = _augment(sample, shape, config.augment, draw, pseudo=False)
    asked_frames = np.zeros(0, np.int64)
    if sample.tracks2d is None:
        sample = _add_empty_tracks(sample)
    else:
        seen = visible_weights(sample, pseudo=False)
        asked_frames = true_query_frames(sample, seen > 0) if own else np.zeros(seen.shape[1], np.int64)
        drawn = draw_tracks((asked_frames >= 0).astype(np.float64) if own else seen[0], config.num_tracks, draw)
        sample, asked_frames = take_tracks(sample, drawn), asked_frames[drawn]
    clip = _to_prepared_clip(sample, visible_weights(sample, pseudo=False), config.num_tracks)
    if own:
        clip = replace(clip, queries=track_queries(sample, asked_frames, known_tracks(sample), config.num_tracks))
    with_normals = clip.dataset not in config.without_normals
    return replace(clip, truth=prepare_truth(sample, clip.frame_weights > 0, config.num_tracks, with_normals=with_normals))


def prepare_pseudo(sample: ClipSample, shape: StepShape, config: DataConfig, draw: np.random.Generator) -> PreparedClip:
    """A clip with pseudo tracks, beginning at a frame with queries; tracks are drawn by their weight in the window.

    With `queries: own` the frames are in order, at least one query is among them, and tracks whose query is are drawn evenly.
    Raises: DataError, naming dataset and clip, if no track counts in the window, or the clip is one frame, in which nothing moves.
    """
    if len(sample.frames) < 2:
        raise DataError(
            f"{clip_name(sample)}: it has 1 frame, and tracks say something from 2 on; leave it out of the manifest, or take a longer video"
        )
    if config.queries == "own":
        return _prepare_pseudo_queries(sample, shape, config, draw)
    starts = pseudo_start_weights(sample, visible_weights(sample, pseudo=True))
    sample = take_frames(sample, draw_window(starts, shape.frames, config.augment, draw))
    sample = _augment(sample, shape, config.augment, draw, pseudo=True)
    weight = visible_weights(sample, pseudo=True)
    drawn = draw_tracks(weight.mean(0) * (weight[0] > 0), config.num_tracks, draw)
    if not len(drawn):
        raise DataError(
            f"{clip_name(sample)}: none of its {weight.shape[1]} pseudo tracks counts in the first of the frames"
            f" {sample.frame_indices.tolist()} within the crop; label it with more queries, or widen augment.crop_side"
        )
    sample = take_tracks(sample, drawn)
    return _with_pseudo_fields(_to_prepared_clip(sample, weight[:, drawn], config.num_tracks), sample, config)


def _prepare_pseudo_queries(sample: ClipSample, shape: StepShape, config: DataConfig, draw: np.random.Generator) -> PreparedClip:
    """A clip with pseudo tracks that begin where they were asked."""
    asked = queries_asked_at(labelled_query_frames(sample, visible_weights(sample, pseudo=True)), len(sample.frames))
    if not asked.any():
        raise DataError(
            f"{clip_name(sample)}: none of its tracks is trusted and in the image where it was asked; audit the label set (jobs/audit.py"
            " run), which leaves such clips out"
        )
    frames = draw_ordered_window(asked, shape.frames, config.augment, draw)
    known = labelled_positions(sample)[frames]
    sample = _augment(take_frames(sample, frames), shape, config.augment, draw, pseudo=True)
    weight = visible_weights(sample, pseudo=True)
    asked_frames = labelled_query_frames(sample, weight)
    drawn = draw_tracks((asked_frames >= 0).astype(np.float64), config.num_tracks, draw)
    if not len(drawn):
        raise DataError(
            f"{clip_name(sample)}: none of its {weight.shape[1]} pseudo tracks was asked in the frames {sample.frame_indices.tolist()}"
            " within the crop; label it with more queries, or widen augment.crop_side"
        )
    sample = take_tracks(sample, drawn)
    clip = _with_pseudo_fields(_to_prepared_clip(sample, weight[:, drawn], config.num_tracks), sample, config)
    return replace(clip, queries=track_queries(sample, asked_frames[drawn], known[:, drawn], config.num_tracks))


def _with_pseudo_fields(clip: PreparedClip, sample: ClipSample, config: DataConfig) -> PreparedClip:
    """The clip with what its labels and their audit know besides tracks."""
    signal = None if sample.pose_signal is None else torch.from_numpy(sample.pose_signal).float()
    return replace(
        clip,
        static_score=_pad_scores(sample.static_score, config.num_tracks),
        pose_weight=signal,
        pseudo_depth=None if sample.depth is None else torch.from_numpy(np.ascontiguousarray(sample.depth)).float(),
        pseudo_depth_is_inverse=None if sample.depth is None else torch.tensor(sample.depth_scale == "inverse"),
    )


def _augment(sample: ClipSample, shape: StepShape, augment: AugmentConfig, draw: np.random.Generator, *, pseudo: bool) -> ClipSample:
    """The clip, cropped about one of the tracks that are visible in the first frame, mirrored and recoloured."""
    stored, size = sample.frames.shape[1:3], (shape.height, shape.width)
    rectangle = draw_crop(stored, size, augment.crop_side, draw)
    if sample.tracks2d is not None:
        seen = visible_weights(sample, pseudo=pseudo)[0]
        held = draw_tracks(seen, 1, draw)
        rectangle = rectangle if not len(held) else shift_crop_onto(rectangle, stored, sample.tracks2d[0, held[0]])
    is_mirrored = draw.random() < augment.mirror
    colours = draw_colour_matrix(augment, draw)
    sample = resize(crop(sample, rectangle), size)
    sample = mirror(sample) if is_mirrored else sample
    return replace(sample, frames=recolour(sample.frames, colours))


def _add_empty_tracks(sample: ClipSample) -> ClipSample:
    num_frames = len(sample.frames)
    return replace(
        sample,
        tracks2d=np.zeros((num_frames, 0, 2), np.float32),
        visibility=np.zeros((num_frames, 0), bool),
        tracks3d_world=np.zeros((num_frames, 0, 3), np.float32),
    )


def _to_prepared_clip(sample: ClipSample, weight: np.ndarray, num_tracks: int) -> PreparedClip:
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
        is_metric=torch.tensor(sample.is_metric),
        images=torch.from_numpy(np.ascontiguousarray(sample.frames)),
        tracks_px=tracks_px,
        frame_weights=filled,
    )


def _pad_scores(scores: np.ndarray | None, num_tracks: int) -> Tensor | None:
    if scores is None:
        return None
    padded = torch.full((num_tracks,), torch.nan)
    padded[: len(scores)] = torch.from_numpy(scores)
    return padded


def check_truth(sample: ClipSample) -> None:
    """Raises: DataError, naming dataset, clip and remedy, unless cameras and depth are there and can be used."""
    where = clip_name(sample)
    missing = [name for name in ("depth", "intrinsics", "camera_to_world") if getattr(sample, name) is None]
    if missing:
        raise DataError(
            f"{where}: no {', '.join(missing)}; a labelled clip needs depth, intrinsics and camera_to_world. Truth that is meant for"
            " evaluation stays on disk; with a label set, such a dataset can be a part of pseudo"
        )
    depth, intrinsics = _depth(sample), _intrinsics(sample)
    if not (np.isfinite(depth).all() and (depth >= 0).all()):
        raise DataError(f"{where}: depth is negative, NaN or inf somewhere; unknown depth is 0. Convert its dataset again")
    focal = intrinsics[:, [0, 1], [0, 1]]
    if not (np.isfinite(intrinsics).all() and (focal > 0).all()):
        raise DataError(f"{where}: intrinsics are NaN, inf, or of a focal length that is not above 0; convert its dataset again")
    poses = _poses(sample)[_pose_valid(sample)]
    off = np.abs(poses[:, :3, :3].mT @ poses[:, :3, :3] - np.eye(3)) if len(poses) else np.zeros(1)
    if not (np.isfinite(poses).all() and off.max() <= _RIGID and (poses[:, 3] == [0, 0, 0, 1]).all()):
        raise DataError(f"{where}: camera_to_world is not rigid in a frame whose pose is said to be valid; convert its dataset again")


def frames_with_geometry(sample: ClipSample) -> np.ndarray:
    """Frames of which pose and some depth are known, bool "T"."""
    return _pose_valid(sample) & (_depth(sample) > 0).any(axis=(1, 2))


def prepare_truth(sample: ClipSample, seen: torch.Tensor, num_tracks: int, *, with_normals: bool = True) -> PreparedTruth:
    """The truth of a clip that has the length, size and tracks of its step.

    Args:
        seen: bool "T N", filled up to N tracks.
        with_normals: depth is good enough for normals.
    """
    valid = _pose_valid(sample)
    poses = np.where(valid[:, None, None], _poses(sample), np.eye(4, dtype=np.float32))
    world = np.full((len(poses), num_tracks, 3), np.nan, np.float32)
    tracks = _tracks3d_world(sample, valid)
    world[:, : tracks.shape[1]] = tracks
    known = torch.from_numpy(np.isfinite(world).all(-1))
    return PreparedTruth(
        depth=torch.from_numpy(np.ascontiguousarray(_depth(sample))),
        intrinsics=torch.from_numpy(_intrinsics(sample)),
        camera_to_world=torch.from_numpy(poses),
        pose_valid=torch.from_numpy(valid),
        sky_mask=None if sample.sky_mask is None else torch.from_numpy(np.ascontiguousarray(sample.sky_mask)),
        tracks3d_world=torch.from_numpy(world),
        visibility=seen & known,
        with_normals=torch.tensor(with_normals),
    )


def _tracks3d_world(sample: ClipSample, pose_valid: np.ndarray) -> np.ndarray:
    """float32 "T N 3"; NaN where not known, which a track in 2D alone never is, nor one in a frame without pose."""
    assert sample.tracks2d is not None, "a clip without tracks was given none"
    known = known_tracks(sample) & pose_valid[:, None]
    if sample.tracks3d_world is not None:
        world = sample.tracks3d_world
    elif sample.tracks3d is not None:
        poses = _poses(sample)
        world = sample.tracks3d @ poses[:, :3, :3].mT + poses[:, None, :3, 3]
    else:
        world = np.full((*known.shape, 3), np.nan, np.float32)
    return np.where(known[..., None] & np.isfinite(world).all(-1, keepdims=True), world, np.nan).astype(np.float32)


def _depth(sample: ClipSample) -> np.ndarray:
    assert sample.depth is not None, "check_truth comes first"
    return sample.depth


def _intrinsics(sample: ClipSample) -> np.ndarray:
    assert sample.intrinsics is not None, "check_truth comes first"
    return sample.intrinsics


def _poses(sample: ClipSample) -> np.ndarray:
    assert sample.camera_to_world is not None, "check_truth comes first"
    return sample.camera_to_world


def _pose_valid(sample: ClipSample) -> np.ndarray:
    return np.ones(len(sample.frames), bool) if sample.pose_valid is None else sample.pose_valid
