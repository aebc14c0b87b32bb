"""Clips of the adaptation experiment: truth of rendered windows, oracle depth labels, and the channels that stand in for pretraining."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from labelers import LabelerProvenance
from pipeline.records import ClipFrames, ClipSample, DepthLabels
from pipeline.records.views import resize, take_frames, take_tracks
from pipeline.stream import ClipStream, StreamConfig
from trainer.data import ClipBatch
from trainer.data.batches import PreparedClip, collate
from trainer.data.preparing import prepare_truth
from trainer.data.track_weights import visible_weights

FRAMES, STRIDE = 8, 2  # of a window, from the clip's first frame on
SIZE = (32, 40)
FLOW_SIZE = (128, 160)  # that DIS is run at
NUM_TRACKS = 512
FARTHEST_M = 12.0  # depth from which truth and depth labels say nothing: errors of what is far would be all that the losses see
CHANNELS = 8  # of an image of a pair: RGB, a point, flow to the other image
GUESSED_FOCAL = 0.8  # of the width
DEPTH_ERROR, CHANNEL_ERROR = 0.08, 0.03  # relative, smooth
_SKY = 100.0  # metres
_CELLS = (3, 4)  # of the grid that errors are drawn on


class OracleDepth:
    """Depth labels from a dataset's truth, each frame with a unit of its own and a smooth relative error; through the ordinary job."""

    kind = "depth"

    def __init__(self, root: str) -> None:
        self._truth = {clip.key: clip.depth for clip in whole_clips(root)}

    def label(self, clips: Sequence[ClipFrames]) -> list[DepthLabels]:
        """See `labelers.Labeler`."""
        return [DepthLabels(depth=self._depth(clip.key), scale="relative") for clip in clips]

    def _depth(self, key: str) -> np.ndarray:
        truth = self._truth[key]
        draw = np.random.default_rng([1, zlib.crc32(key.encode())])
        units = np.exp(draw.uniform(-0.7, 0.7, len(truth)))
        near = np.where(truth <= FARTHEST_M, truth, 0)
        frames = [depth * unit * smooth_factor(depth.shape, DEPTH_ERROR, draw) for depth, unit in zip(near, units, strict=True)]
        return np.stack(frames).astype(np.float32)

    def provenance(self) -> LabelerProvenance:
        """See `labelers.Labeler`."""
        return LabelerProvenance(
            name="oracle-depth",
            options={"error": DEPTH_ERROR, "farthest_m": FARTHEST_M},
            facts={"depth_scale": "relative", "source": "oracle: the rendered truth"},
        )


def oracle_depth(root: str) -> OracleDepth:
    """The labeler, as jobs/pseudolabel.py finds it by module:factory."""
    return OracleDepth(root)


def smooth_factor(size: tuple[int, int], error: float, draw: np.random.Generator) -> np.ndarray:
    """exp of a smooth field whose standard deviation is `error`, "H W"."""
    grid = draw.standard_normal(_CELLS).astype(np.float32)
    field = cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.exp(error * field / field.std())


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Window:
    """One clip's window: what training sees of it, its truth, and its stand-in channels."""

    labelled: PreparedClip  # with truth; its tracks are true ones
    pseudo: PreparedClip | None  # with audited tracks and depth labels; None where the audit left nothing
    channels: Tensor  # "T 5 H W": inverse depth of frame j, flow from frame 0 to j, flow from j to 0


def whole_clips(root: str | Path) -> list[ClipSample]:
    """All clips with their truth, in the order of the plan."""
    config = StreamConfig(root=str(root), num_frames=None, evaluation_truth=True, epochs=1, shuffle=False)
    return list(ClipStream(config, announce=False))


def windows(root: str | Path, *, audit: str | None = None, depth_labels: str | None = None) -> list[Window]:
    """The first window of every clip."""
    pseudo: Mapping[str, PreparedClip] = {}
    if audit is not None:
        config = StreamConfig(
            root=str(root), audit=audit, labels=depth_labels, arrays=False, num_frames=None, epochs=1, shuffle=False
        )  # the depth set beside the audit's own tracks
        found = {clip.key: pseudo_clip(clip) for clip in ClipStream(config, announce=False)}
        pseudo = {key: clip for key, clip in found.items() if clip is not None}
    result = []
    for clip in whole_clips(root):
        sample = window_of(clip)
        result.append(Window(labelled=true_clip(sample), pseudo=pseudo.get(clip.key), channels=stand_in_channels(clip)))
    return result


def window_of(clip: ClipSample) -> ClipSample:
    return resize(take_frames(clip, np.arange(FRAMES) * STRIDE), SIZE)


def true_clip(sample: ClipSample) -> PreparedClip:
    """With the true tracks that are seen in the first frame; what is far is not known."""
    assert sample.tracks3d is not None, "rendered clips have tracks in space"
    assert sample.depth is not None, "rendered clips have depth"
    near = sample.tracks3d[..., 2:] <= FARTHEST_M
    world = None if sample.tracks3d_world is None else np.where(near, sample.tracks3d_world, np.nan).astype(np.float32)
    tracks = np.where(near, sample.tracks3d, np.nan).astype(np.float32)
    depth = np.where(sample.depth <= FARTHEST_M, sample.depth, 0).astype(np.float32)
    sample = replace(sample, depth=depth, tracks3d=tracks, tracks3d_world=world)
    seen = np.flatnonzero(visible_weights(sample, pseudo=False)[0] > 0)[:NUM_TRACKS]
    sample = take_tracks(sample, seen)
    clip = prepared(sample, visible_weights(sample, pseudo=False))
    return replace(clip, truth=prepare_truth(sample, clip.frame_weights > 0, NUM_TRACKS))


def pseudo_clip(clip: ClipSample) -> PreparedClip | None:
    """With the label set's tracks that count in the first frame, and its depth."""
    sample = window_of(clip)
    weights = visible_weights(sample, pseudo=True)
    counted = np.flatnonzero(weights[0] > 0)[:NUM_TRACKS]
    if not len(counted) or sample.depth is None:
        return None
    result = prepared(take_tracks(sample, counted), weights[:, counted])
    return replace(result, pseudo_depth=torch.from_numpy(np.ascontiguousarray(sample.depth)).float())


def prepared(sample: ClipSample, weights: np.ndarray) -> PreparedClip:
    """Tracks filled up to NUM_TRACKS with weight 0."""
    assert sample.tracks2d is not None, "tracks were chosen"
    found = sample.tracks2d.shape[1]
    tracks = torch.tensor([(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2]).repeat(FRAMES, NUM_TRACKS, 1)
    filled = torch.zeros(FRAMES, NUM_TRACKS)
    tracks[:, :found], filled[:, :found] = torch.from_numpy(sample.tracks2d), torch.from_numpy(weights)
    return PreparedClip(
        key=sample.key,
        dataset=sample.dataset or "",
        license=sample.license,
        index=sample.index,
        is_metric=sample.is_metric,
        images=torch.from_numpy(np.ascontiguousarray(sample.frames)),
        tracks_px=tracks,
        frame_weights=filled,
    )


def stand_in_channels(clip: ClipSample) -> Tensor:
    """Inverse depth with a smooth error, and DIS flow between frame 0 and frame j, both ways, in shares of the image's width."""
    assert clip.depth is not None, "the experiment's clips have truth"
    draw = np.random.default_rng([2, zlib.crc32(clip.key.encode())])
    frames = np.arange(FRAMES) * STRIDE
    grey = [cv2.cvtColor(cv2.resize(clip.frames[t], FLOW_SIZE[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY) for t in frames]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    channels = []
    for number, t in enumerate(frames):
        depth = cv2.resize(clip.depth[t], SIZE[::-1], interpolation=cv2.INTER_NEAREST)
        inverse = np.where(depth > 0, 1 / np.maximum(depth, 1e-3), 0) * smooth_factor(SIZE, CHANNEL_ERROR, draw)
        flows = [dis.calc(grey[one], grey[other], None) for one, other in ((0, number), (number, 0))]
        small = [cv2.resize(flow / FLOW_SIZE[1], SIZE[::-1], interpolation=cv2.INTER_AREA) for flow in flows]
        channels.append(np.concatenate([inverse[None], *(flow.transpose(2, 0, 1) for flow in small)]))
    return torch.from_numpy(np.stack(channels).astype(np.float32))


def batch(clips: Sequence[PreparedClip]) -> ClipBatch:
    """As a training step takes them."""
    found = collate(clips)
    assert found is not None, "a batch has clips"
    return found


def pair_images(images: Tensor, channels: Tensor) -> tuple[Tensor, Tensor]:
    """Both images of the pairs (0, j) of clips: RGB "B T 3 H W" in [0, 1] and channels "B T 5 H W" to "B*T 8 H W" each.

    Inverse depth goes in as the point of a camera of GUESSED_FOCAL, in the logarithm that the heads give points in.
    """
    colours, first = images * 2 - 1, (images[:, :1] * 2 - 1).expand_as(images)
    inverse, there, back = channels.split([1, 2, 2], dim=2)
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in SIZE), indexing="ij")
    rays = torch.stack([x, y, torch.full_like(x, GUESSED_FOCAL * SIZE[1])])
    length = rays.norm(dim=0)
    distance = (length / rays[2]) / inverse.clamp_min(1 / _SKY)
    points = rays / length * distance.log1p()
    one = torch.cat([first, points[:, :1].expand_as(points), 10 * there], dim=2)
    other = torch.cat([colours, points, 10 * back], dim=2)
    return one.flatten(0, 1), other.flatten(0, 1)
