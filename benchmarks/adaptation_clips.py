"""Clips of the adaptation experiment: truth of rendered windows, oracle depth labels, and the channels that stand in for pretraining."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from experiments import (
    FARTHEST_M,
    SKY_M,
    chained_flows,
    given_inverse_depth,
    places,
    prepared,
    smooth_factor,
    true_clip,
    whole_clips,
)
from torch import Tensor

from labelers import LabelerProvenance
from pipeline.records import ClipFrames, ClipSample, DepthLabels
from pipeline.records.views import resize, take_frames, take_tracks
from pipeline.stream import ClipStream, StreamConfig
from trainer.data.batches import PreparedClip
from trainer.data.track_weights import visible_weights

FRAMES, STRIDE = 8, 2  # of a window, from the clip's first frame on
SIZE = (32, 40)
FLOW_SIZE = (128, 160)  # that DIS is run at
NUM_TRACKS = SIZE[0] * SIZE[1]
CHANNELS = 11  # of an image of a pair: RGB, its point, flow to the other image, how far the point moves along it
GUESSED_FOCAL = 0.8  # of the width
DEPTH_ERROR = 0.08  # of depth labels: relative, smooth
_INLIER_PX, _FEWEST_INLIERS = 0.4, 24  # of PnP on flow


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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Window:
    """One clip's window: what training sees of it, its truth, and its stand-in channels."""

    labelled: PreparedClip  # with truth; its tracks are true ones
    pseudo: PreparedClip | None  # with audited tracks and depth labels; None where the audit left nothing
    channels: Tensor  # "T 2 8 H W", of both images of the pairs (0, j)


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
        result.append(Window(labelled=true_clip(sample, NUM_TRACKS), pseudo=pseudo.get(clip.key), channels=channels))
    return result


def window_of(clip: ClipSample) -> ClipSample:
    return resize(take_frames(clip, np.arange(FRAMES) * STRIDE), SIZE)


def pseudo_clip(clip: ClipSample) -> PreparedClip | None:
    """With the label set's tracks that count in the first frame, and its depth."""
    sample = window_of(clip)
    weights = visible_weights(sample, pseudo=True)
    counted = np.flatnonzero(weights[0] > 0)[:NUM_TRACKS]
    if not len(counted) or sample.depth is None:
        return None
    result = prepared(take_tracks(sample, counted), weights[:, counted], NUM_TRACKS)
    return replace(result, pseudo_depth=torch.from_numpy(np.ascontiguousarray(sample.depth)).float())


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
    points = [guessed_rays() / np.maximum(given_inverse_depth(depth, draw), 1 / SKY_M)[..., None] for depth in sample.depth]
    result, ends = [], range(0, FRAMES * STRIDE, STRIDE)
    flows = chained_flows(clip.frames[: ends[-1] + 1], ends, SIZE, FLOW_SIZE)
    for own, (there, back) in zip(points, flows, strict=True):
        placed = own if own is points[0] else placed_by_flow(own, points[0], there)
        at_first, at_other = logarithmic(points[0]), logarithmic(placed)
        one = (at_first, 10 * there, 5 * (followed(at_other, there, at_first) - at_first))
        other = (at_other, 10 * back, 5 * (followed(at_first, back, at_other) - at_other))
        result.append(np.stack([np.concatenate(parts, axis=-1) for parts in (one, other)]))
    return torch.from_numpy(np.stack(result).transpose(0, 1, 4, 2, 3).astype(np.float32))


def guessed_camera() -> np.ndarray:
    """Intrinsics with GUESSED_FOCAL."""
    focal = GUESSED_FOCAL * SIZE[1]
    return np.array([[focal, 0, (SIZE[1] - 1) / 2], [0, focal, (SIZE[0] - 1) / 2], [0, 0, 1]])


def guessed_rays() -> np.ndarray:
    """Points at depth 1 that its pixels show, "H W 3"."""
    homogeneous = np.concatenate([places(SIZE), np.ones((*SIZE, 1))], axis=-1)
    return np.asarray(homogeneous @ np.linalg.inv(guessed_camera()).T)


def placed_by_flow(points: np.ndarray, first: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Points of frame j in frame 0's axes: of the camera that sees frame 0's points where flow leads to; unchanged where none does."""
    target = places(SIZE) + SIZE[1] * there
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
    place = np.rint(places(SIZE) + SIZE[1] * flow).astype(int)
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


def pair_images(images: Tensor, channels: Tensor) -> tuple[Tensor, Tensor]:
    """Both images of the pairs (0, j) of clips: RGB "B T 3 H W" in [0, 1] and channels "B T 2 8 H W" to "B*T CHANNELS H W" each."""
    colours, first = images * 2 - 1, (images[:, :1] * 2 - 1).expand_as(images)
    one = torch.cat([first, channels[:, :, 0]], dim=2)
    other = torch.cat([colours, channels[:, :, 1]], dim=2)
    return one.flatten(0, 1), other.flatten(0, 1)
