"""Clips of the self-supervision experiments: windows of four frames, truth, audited tracks, and channels that stand in for pretraining."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from experiments import FARTHEST_M, SKY_M, chained_flows, given_inverse_depth, prepared, true_clip, whole_clips
from torch import Tensor

from pipeline.records import ClipSample
from pipeline.records.views import resize, take_frames, take_tracks
from pipeline.stream import ClipStream, StreamConfig
from trainer.data.batches import PreparedClip
from trainer.data.track_weights import visible_weights
from trainer.geometry import sample_maps

FRAMES, SIZE = 4, (56, 56)
NUM_TRACKS = 400
CHANNELS = 3  # behind RGB: inverse depth, flow to frame 0
STUDIO_WINDOWS = ((0, 1), (8, 1), (16, 2))  # first frame and stride, of every clip
MOST_BASELINE = 0.1  # of depth, that a studio camera travels between the first and the last frame
WILD_STRIDES = range(2, 8)
LEAST_BASELINE = 0.6  # that a wild one does
_STANDS_M = 0.005  # a point that never leaves its place by more stands; the truth is stored in float32


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Window:
    """Four frames of a clip."""

    labelled: PreparedClip  # with truth; its tracks are true ones, and their static scores
    pseudo: PreparedClip | None  # with audited tracks; None where there are none
    channels: Tensor  # float32 "T 3 H W", see `stand_in_channels`
    baseline: float  # between the first and the last camera, over the median depth


def studio_windows(root: str | Path) -> list[Window]:
    """Those of STUDIO_WINDOWS in which the camera travels little."""
    return [
        window(clip, start, stride)
        for clip in whole_clips(root)
        for start, stride in STUDIO_WINDOWS
        if baseline(clip, start, stride) <= MOST_BASELINE
    ]


def wild_windows(root: str | Path, audit: str | None = None) -> list[Window]:
    """Of every clip whose camera travels far enough, the window from its first frame on with the smallest stride that does.

    With an audit, those in which tracks count.
    """
    audited: Mapping[str, ClipSample] = {}
    if audit is not None:
        config = StreamConfig(root=str(root), audit=audit, arrays=False, num_frames=None, epochs=1, shuffle=False)
        audited = {clip.key: clip for clip in ClipStream(config, announce=False)}
    return list(_wild(root, audited, with_tracks=audit is not None))


def _wild(root: str | Path, audited: Mapping[str, ClipSample], *, with_tracks: bool) -> Iterator[Window]:
    for clip in whole_clips(root):
        stride = next((stride for stride in WILD_STRIDES if baseline(clip, 0, stride) >= LEAST_BASELINE), None)
        if stride is None or (with_tracks and clip.key not in audited):
            continue
        result = window(clip, 0, stride)
        pseudo = audited_clip(audited[clip.key], stride) if with_tracks else None
        if pseudo is not None:
            yield replace(result, pseudo=near_only(pseudo, result.channels))
        elif not with_tracks:
            yield result


def frames_of(start: int, stride: int) -> np.ndarray:
    return start + stride * np.arange(FRAMES)


def baseline(clip: ClipSample, start: int, stride: int) -> float:
    """How far the camera travels over the window, of the median depth of what is near."""
    assert clip.camera_to_world is not None, "rendered clips have cameras"
    assert clip.depth is not None, "rendered clips have depth"
    first, last = clip.camera_to_world[frames_of(start, stride)[[0, -1]], :3, 3]
    near = clip.depth[start][(clip.depth[start] > 0) & (clip.depth[start] <= FARTHEST_M)]
    return float(np.linalg.norm(last - first) / np.median(near)) if len(near) else 0.0


def window(clip: ClipSample, start: int, stride: int) -> Window:
    """Without pseudo tracks."""
    sample = resize(take_frames(clip, frames_of(start, stride)), SIZE)
    labelled = true_clip(sample, NUM_TRACKS)
    assert labelled.truth is not None, "true clips have truth"
    world = labelled.truth.tracks3d_world
    stands = (world - world[:1]).norm(dim=-1).nan_to_num(nan=0.0).amax(dim=0) < _STANDS_M
    return Window(
        labelled=replace(labelled, static_score=stands.float()),
        pseudo=None,
        channels=stand_in_channels(sample, start),
        baseline=baseline(clip, start, stride),
    )


def audited_clip(clip: ClipSample, stride: int) -> PreparedClip | None:
    """With the label set's tracks that count in the first frame; None without any."""
    sample = resize(take_frames(clip, frames_of(0, stride)), SIZE)
    weights = visible_weights(sample, pseudo=True)
    counted = np.flatnonzero(weights[0] > 0)[:NUM_TRACKS]
    if not len(counted) or sample.static_score is None:
        return None
    scores = torch.full((NUM_TRACKS,), torch.nan)
    scores[: len(counted)] = torch.from_numpy(sample.static_score[counted])
    signal = None if sample.pose_signal is None else torch.from_numpy(sample.pose_signal).float()
    result = prepared(take_tracks(sample, counted), weights[:, counted], NUM_TRACKS)
    return replace(result, static_score=scores, pose_weight=signal)


def near_only(clip: PreparedClip, channels: Tensor) -> PreparedClip:
    """Without weight where the given depth is the one that all that is far is given as: such points would say that cameras stand."""
    given = sample_maps(channels[None, :, 0, ..., None], clip.tracks_px[None])[0, ..., 0]  # inverse
    return replace(clip, frame_weights=torch.where(given > 1 / FARTHEST_M, clip.frame_weights, 0))


def stand_in_channels(sample: ClipSample, start: int) -> Tensor:
    """What a pretrained network would know of each frame, "T 3 H W": inverse depth, 1 / m, with a smooth error, and DIS flow to frame 0 in
    tenths of the width.

    Flow is of the four frames that the network sees, at their size: where cameras move far it is worse, unlike tracks through all frames.

    Args:
        sample: the window; its depth is of the same pixels as what is to be learned.
        start: its first frame, for the draw.
    """
    assert sample.depth is not None, "the experiment's clips have truth"
    draw = np.random.default_rng([2, start, zlib.crc32(sample.key.encode())])
    inverse = np.stack([np.maximum(given_inverse_depth(depth, draw), 1 / SKY_M) for depth in sample.depth])
    flows = chained_flows(sample.frames, range(FRAMES), SIZE, SIZE)
    back = np.stack([back for _, back in flows])
    return torch.from_numpy(np.concatenate([inverse[:, None], 10 * back.transpose(0, 3, 1, 2)], axis=1).astype(np.float32))
