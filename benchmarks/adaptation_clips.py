"""Clips of the adaptation experiment: truth of rendered windows, oracle depth labels, and the channels that stand in for pretraining."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
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
from trainer.geometry import nearest_pixels

FRAMES, STRIDE = 8, 2  # of a window, from the clip's first frame on
SIZE = (32, 40)
FLOW_SIZE = (128, 160)  # that DIS is run at
NUM_TRACKS = SIZE[0] * SIZE[1]
SAME_SURFACE = 0.04  # relative difference of depth up to which a track's pixel shows what the track is on
FARTHEST_M = 12.0  # depth from which truth and depth labels say nothing: errors of what is far would be all that the losses see
CHANNELS = 11  # of an image of a pair: RGB, its point, flow to the other image, how far the point moves along it
GUESSED_FOCAL = 0.8  # of the width
DEPTH_ERROR, CHANNEL_ERROR = 0.08, 0.03  # relative, smooth
_SKY = 15.0  # metres that what is farther, or the sky, is given as
_INLIER_PX, _FEWEST_INLIERS = 0.4, 24  # of PnP on flow
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
    channels: Tensor  # "T 2 8 H W", of both images of the pairs (0, j)


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
        channels = stand_in_channels(clip, sample)
        result.append(Window(labelled=true_clip(sample), pseudo=pseudo.get(clip.key), channels=channels))
    return result


def window_of(clip: ClipSample) -> ClipSample:
    return resize(take_frames(clip, np.arange(FRAMES) * STRIDE), SIZE)


def true_clip(sample: ClipSample) -> PreparedClip:
    """With the true tracks that are seen in the first frame; what is far is not known.

    Nor is a track whose pixel shows another surface, as many do at this size: a map of pixels has no place for it.
    """
    assert sample.tracks3d is not None, "rendered clips have tracks in space"
    assert sample.tracks2d is not None, "rendered clips have tracks"
    assert sample.depth is not None, "rendered clips have depth"
    x, y = (column.numpy() for column in nearest_pixels(torch.from_numpy(sample.tracks2d[0]), SIZE))
    shown, own = sample.depth[0, y, x], sample.tracks3d[0, :, 2]
    near = (sample.tracks3d[..., 2:] <= FARTHEST_M) & (np.abs(shown - own) <= SAME_SURFACE * own)[:, None]
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
        is_metric=torch.tensor(sample.is_metric),
        images=torch.from_numpy(np.ascontiguousarray(sample.frames)),
        tracks_px=tracks,
        frame_weights=filled,
    )


def stand_in_channels(clip: ClipSample, sample: ClipSample) -> Tensor:
    """What a pretrained network would see in pairs (0, j), "T 2 8 H W": of each image where its points are, flow to the other image, and
    how far the points move along it.

    Inverse depth with a smooth error is made to points by a camera of GUESSED_FOCAL; frame j's are brought to frame 0's axes by PnP on DIS
    flow. Points are in the logarithm that the heads give them in.

    Args:
        sample: the clip's window; its depth is of the same pixels as what is to be learned.
    """
    assert sample.depth is not None, "the experiment's clips have truth"
    draw = np.random.default_rng([2, zlib.crc32(clip.key.encode())])
    inverse = [np.where(depth > 0, 1 / np.maximum(depth, 1e-3), 0) * smooth_factor(SIZE, CHANNEL_ERROR, draw) for depth in sample.depth]
    points = [guessed_rays() / np.maximum(value, 1 / _SKY)[..., None] for value in inverse]
    result = []
    for own, (there, back) in zip(points, flows(clip), strict=True):
        placed = own if own is points[0] else placed_by_flow(own, points[0], there)
        at_first, at_other = logarithmic(points[0]), logarithmic(placed)
        one = (at_first, 10 * there, 5 * (followed(at_other, there, at_first) - at_first))
        other = (at_other, 10 * back, 5 * (followed(at_first, back, at_other) - at_other))
        result.append(np.stack([np.concatenate(parts, axis=-1) for parts in (one, other)]))
    return torch.from_numpy(np.stack(result).transpose(0, 1, 4, 2, 3).astype(np.float32))


def flows(clip: ClipSample) -> list[tuple[np.ndarray, np.ndarray]]:
    """DIS flow from frame 0 to each frame of the window and back, "H W 2" each, in shares of the image's width.

    It is followed from frame to frame: between frames that lie apart it loses what moves by itself.
    """
    frames = range((FRAMES - 1) * STRIDE + 1)
    grey = [cv2.cvtColor(cv2.resize(clip.frames[t], FLOW_SIZE[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY) for t in frames]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    forward = [dis.calc(one, other, None) for one, other in pairwise(grey)]
    backward = [dis.calc(other, one, None) for one, other in pairwise(grey)]
    start = ((places() + 0.5) * (FLOW_SIZE[1] / SIZE[1]) - 0.5).astype(np.float32)

    def chained(links: Iterable[np.ndarray]) -> np.ndarray:
        place = start
        for link in links:
            place = place + cv2.remap(link, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return (place - start) / FLOW_SIZE[1]

    return [(chained(forward[:end]), chained(reversed(backward[:end]))) for end in frames[::STRIDE]]


def places() -> np.ndarray:
    """Pixels, (x, y), "H W 2"."""
    return np.stack(np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0])), axis=-1).astype(np.float64)


def guessed_camera() -> np.ndarray:
    """Intrinsics with GUESSED_FOCAL."""
    focal = GUESSED_FOCAL * SIZE[1]
    return np.array([[focal, 0, (SIZE[1] - 1) / 2], [0, focal, (SIZE[0] - 1) / 2], [0, 0, 1]])


def guessed_rays() -> np.ndarray:
    """Points at depth 1 that its pixels show, "H W 3"."""
    homogeneous = np.concatenate([places(), np.ones((*SIZE, 1))], axis=-1)
    return np.asarray(homogeneous @ np.linalg.inv(guessed_camera()).T)


def placed_by_flow(points: np.ndarray, first: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Points of frame j in frame 0's axes: of the camera that sees frame 0's points where flow leads to; unchanged where none does."""
    target = places() + SIZE[1] * there
    inside = ((target >= 0) & (target <= np.array(SIZE[::-1]) - 1)).all(-1) & (first[..., 2] < FARTHEST_M)
    if inside.sum() < _FEWEST_INLIERS:
        return points
    found, turn, shift, inliers = cv2.solvePnPRansac(
        first[inside], target[inside], guessed_camera(), None, reprojectionError=_INLIER_PX, iterationsCount=300, flags=cv2.SOLVEPNP_SQPNP
    )
    if not found or len(inliers) < _FEWEST_INLIERS:
        return points
    chosen = inliers[:, 0]
    turn, shift = cv2.solvePnPRefineLM(first[inside][chosen], target[inside][chosen], guessed_camera(), None, turn, shift)
    return np.asarray((points - shift[:, 0]) @ cv2.Rodrigues(turn)[0])


def followed(values: np.ndarray, flow: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Values "H W C" of the other image where flow (shares of the width) leads to; beyond it its border's.

    Of the nine pixels there the one that is most like `own`: flow is not exact enough for the edges of things.
    """
    last = np.array(SIZE[::-1]) - 1
    place = np.rint(places() + SIZE[1] * flow).astype(int)
    found = []
    for step in np.ndindex(3, 3):
        x, y = np.clip(place + np.array(step) - 1, 0, last).transpose(2, 0, 1)
        found.append(values[y, x])
    candidates = np.stack(found)
    nearest = np.linalg.norm(candidates - own, axis=-1).argmin(axis=0)
    return np.take_along_axis(candidates, nearest[None, ..., None], axis=0)[0]


def logarithmic(points: np.ndarray) -> np.ndarray:
    """Points "... 3" as the heads give them before their exponential."""
    distance = np.linalg.norm(points, axis=-1, keepdims=True)
    return points / np.maximum(distance, 1e-6) * np.log1p(distance)


def batch(clips: Sequence[PreparedClip]) -> ClipBatch:
    """As a training step takes them."""
    found = collate(clips)
    assert found is not None, "a batch has clips"
    return found


def pair_images(images: Tensor, channels: Tensor) -> tuple[Tensor, Tensor]:
    """Both images of the pairs (0, j) of clips: RGB "B T 3 H W" in [0, 1] and channels "B T 2 8 H W" to "B*T CHANNELS H W" each."""
    colours, first = images * 2 - 1, (images[:, :1] * 2 - 1).expand_as(images)
    one = torch.cat([first, channels[:, :, 0]], dim=2)
    other = torch.cat([colours, channels[:, :, 1]], dim=2)
    return one.flatten(0, 1), other.flatten(0, 1)
