"""Training and measuring of the joint-loss experiment: a tiny Track4World decoder over true geometry, by the losses of the family."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from experiments import smooth_factor, whole_clips
from torch import Tensor

from labelers import Labeler, make_labeler
from labelers.chain import RoundTripRule, Step, follow
from labelers.optical_flow import sample_flow
from networks import build_model
from networks.track4world import bundle_of_truth, bundle_without_geometry
from networks.track4world.network import Track4World
from pipeline.metrics import tapvid_from_labels
from pipeline.records import ClipFrames, ClipSample, FramesInMemory, TrackLabels
from pipeline.records.pixel_transforms import resize_points
from pipeline.records.views import resize, take_frames, take_tracks
from pipeline.stream import ClipStream, MixtureConfig, StreamConfig
from trainer.data.augmentation import StepShape
from trainer.data.batches import PreparedClip, collate
from trainer.data.config import AugmentConfig, DataConfig
from trainer.data.preparing import prepare_labelled, prepare_pseudo
from trainer.families.track4world.family import StageOutput, Track4WorldFamily, dense_flows
from trainer.families.track4world.reading import read_tracks
from trainer.families.track4world.settings import MotionSettings, PlanarWeights, SpatialWeights, Track4WorldLosses
from trainer.families.track4world.targets import batch_bundle
from trainer.geometry import in_image, sample_maps
from trainer.loop.optimisation import OptimiserSettings, make_optimiser, set_rate

MODEL = {  # of configs/track4world_tiny.yaml
    "backbone": "none", "dim_feature": 32, "flow_dim": 32, "flow3d_dim": 32, "flow_depth": 1, "depth3d": 1, "heads": 2,
    "ctx": [24, 48, 64], "ctx_depth": [1, 1, 2], "ctx_dim": 32, "hdim": 32, "n2d": 1, "n3d": 1, "levels": 2, "corr_radius": 4,
    "seqlen": 4, "layer_scale": 0.1,
}  # fmt: skip
# At a rate of 1e-3 most runs never give any motion; at 1e-4 and 2e-4 they begin to after 400 steps.
OPTIMISER = OptimiserSettings(learning_rate=2e-4, encoder_learning_rate=2e-4, betas=(0.9, 0.999), weight_decay=1e-5)
WARM, FALLING = 50, 0.3  # steps up to the highest rate; share of the steps, at the end, in which it falls to 0
SIZE = (64, 128)
SHAPE = StepShape(frames=2, height=SIZE[0], width=SIZE[1])
FARTHEST_M = 20.0  # depth from which truth says nothing in space: errors of what is far would be all that the losses see
NOISE = 0.08  # relative, smooth, of each frame's depth; in tests alone
PLANAR = PlanarWeights(trajectory=1.0, visibility=0.1, confidence=0.1)
SPATIAL = SpatialWeights(position=1.0, smoothness=0.1)
CLIPS_PER_STEP, WILD_PER_STEP = 4, 1  # of all; of which wild in arms that have them
STARTS, STRIDES = (0, 9, 18), (1, 4)  # of measured pairs
QUERIES = 256  # of tracks through whole clips
FAMILY = Track4WorldFamily()


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One way of training."""

    planar: bool = True  # 2D losses on clips with truth
    lifting: bool = True
    iterations: int = 3
    wild: Literal["audited", "shuffled", "true"] | None = None  # 2D tracks of wild clips, in place of a quarter of the labelled clips

    @property
    def settings(self) -> Track4WorldLosses:
        """Of the family."""
        return Track4WorldLosses(
            planar=PLANAR if self.planar else None,
            spatial=SPATIAL,
            pseudo=PLANAR,
            motion_settings=MotionSettings(iterations=self.iterations),
        )


ARMS = {
    "full": Arm(),
    "without 2D supervision": Arm(planar=False),
    "without target lifting": Arm(lifting=False),
    "one iteration": Arm(iterations=1),
    "with wild": Arm(wild="audited"),
    "with wild, shuffled tracks": Arm(wild="shuffled"),
    "with wild, true tracks": Arm(wild="true"),
}
DATA = DataConfig(  # where clips come from is not asked
    labelled=MixtureConfig(parts=((StreamConfig(root="studio"), 1.0),)), num_tracks=128, augment=AugmentConfig(strides=(1, 4))
)


def new_model(seed: int, arm: Arm) -> Track4World:
    """With random weights."""
    config = {**MODEL, "lifting_prior": arm.lifting}
    model = build_model("track4world", config, generator=torch.Generator().manual_seed(seed))
    assert isinstance(model, Track4World)
    return model


@lru_cache(maxsize=8)
def true_clips(root: Path) -> list[ClipSample]:
    """All clips with their truth; what is far is not known in space."""
    return [near(clip) for clip in whole_clips(root)]


def near(clip: ClipSample) -> ClipSample:
    far = known(clip.tracks3d)[..., 2:] > FARTHEST_M
    world = None if clip.tracks3d_world is None else np.where(far, np.nan, clip.tracks3d_world)
    return replace(clip, depth=np.where(known(clip.depth) > FARTHEST_M, 0, clip.depth), tracks3d_world=world)


@lru_cache(maxsize=4)
def wild_clips(root: Path, audit: str, kind: str) -> list[ClipSample]:
    """Clips that the audit keeps, with its tracks, with those of the next clip, or with true ones in the image."""
    config = StreamConfig(root=str(root), audit=audit, arrays=False, num_frames=None, epochs=1, shuffle=False)
    kept = list(ClipStream(config, announce=False))
    if kind == "shuffled":
        return [replace(clip, frames=other.frames) for clip, other in zip(kept, kept[1:] + kept[:1], strict=True)]
    if kind == "true":
        truth = {clip.key: clip for clip in whole_clips(root)}
        return [replace(truth[clip.key], depth=None) for clip in kept]
    return kept


def known(part: np.ndarray | None) -> np.ndarray:
    """A field that rendered clips have."""
    assert part is not None, "rendered clips have their truth"
    return part


def train(model: Track4World, arm: Arm, studio: Sequence[ClipSample], wild: Sequence[ClipSample], *, seed: int, steps: int) -> list[float]:
    """Pairs of frames, as many clips a step in every arm, each of the same weight; returns the loss of every step."""
    optimiser, settings, history = make_optimiser(model, OPTIMISER), arm.settings, []
    num_wild = WILD_PER_STEP if wild else 0
    for number in range(steps):
        draw, order = np.random.default_rng([seed, number]), np.random.default_rng([seed, number, 1])
        labelled = [prepare_labelled(pick(studio, order), SHAPE, DATA, draw) for _ in range(CLIPS_PER_STEP - num_wild)]
        pseudo = [prepare_pseudo(pick(wild, order), SHAPE, DATA, draw) for _ in range(num_wild)]
        loss = sum(clip_losses(model, clips, settings).sum() for clips in (labelled, pseudo) if clips) / CLIPS_PER_STEP
        assert isinstance(loss, Tensor), "a step has clips"
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIMISER.clip_norm)
        set_rate(optimiser, min(1.0, (number + 1) / WARM, (steps - number) / (FALLING * steps)))
        optimiser.step()
        history.append(float(loss.detach()))
    return history


def pick(clips: Sequence[ClipSample], draw: np.random.Generator) -> ClipSample:
    return clips[int(draw.integers(len(clips)))]


def clip_losses(model: Track4World, prepared: Sequence[PreparedClip], settings: Track4WorldLosses) -> Tensor:
    """Of every clip, all with truth or all without."""
    clips = collate(prepared)
    assert clips is not None, "there are clips"
    bundle = batch_bundle(clips, token_width=model.config.dim_feature)
    flows = dense_flows(model, clips, bundle, settings.motion_settings.iterations)
    output = StageOutput(bundle=bundle, from_truth=True, readings=read_tracks(flows, clips.query_points))
    losses = FAMILY.pseudo_losses if clips.geometry is None else FAMILY.labelled_losses
    return losses(output, clips, settings).total()


def measure(model: Track4World, arm: Arm, clips: Sequence[ClipSample], *, noise: float) -> list[dict[str, float]]:
    """Mean errors of every clip at its true tracks, over pairs of frames; `noise` of the depth."""
    model.eval()
    result = []
    for number, clip in enumerate(clips):
        draw = np.random.default_rng([3, number])  # the same noise for all models
        windows = [take_frames(clip, np.array([start, start + stride])) for start in STARTS for stride in STRIDES]
        result.append(pooled([pair_errors(model, arm, resize(window, SIZE), noise, draw) for window in windows]))
    return result


def pooled(pairs: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Means over the points of all pairs, by where the point is in the target: in sight, or hidden within the image."""
    errors = {name: np.concatenate([pair[name] for pair in pairs]) for name in pairs[0]}
    visible = errors.pop("visible").astype(bool)
    parts = {"all": np.ones_like(visible), "visible": visible, "occluded": ~visible}
    return {
        f"{name} {part}": float(values[chosen].mean()) if chosen.any() else np.nan
        for name, values in errors.items()
        for part, chosen in parts.items()
    }


@torch.no_grad()
def pair_errors(model: Track4World, arm: Arm, pair: ClipSample, noise: float, draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Errors of the points that are seen in the first frame and lie within the second, pixels and metres, "N" each."""
    factor = np.stack([smooth_factor(SIZE, noise, draw) for _ in range(2)]) if noise else np.ones((2, *SIZE))
    depth, intrinsics, poses = (
        torch.from_numpy(part).float()[None] for part in (pair.depth * factor, pair.intrinsics, pair.camera_to_world)
    )
    chosen = measured_points(pair)
    query, target = torch.from_numpy(known(pair.tracks2d)[:, chosen]).float()
    true = torch.from_numpy(known(pair.tracks3d)[1, chosen]).float()
    bundle = bundle_of_truth(depth, intrinsics, poses, token_width=model.config.dim_feature)
    assert bundle.unit is not None, "it is made of truth"
    flow = model(image_batch(pair.frames), bundle, num_iterations=arm.iterations)[-1]

    def read(maps: Tensor, places: Tensor) -> Tensor:
        return sample_maps(maps.movedim(0, -1)[None, None], places[None, None])[0, 0]

    source, there = (bundle.points[0, frame] for frame in range(2))
    pixels, moved = query + read(flow.flow[0, 0], query), read(source, query) + read(flow.flow3d[0, 0], query)
    rays = torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1) @ torch.linalg.inv(intrinsics[0, 1]).mT
    places = {
        "pure 3D": moved,
        "hybrid": rays * moved[:, 2:],
        "2D flow and depth there": rays * read(there, pixels)[:, 2:],
        "standing still": read(source, query),
    }
    found = {f"EPE3D {name}": (place * bundle.unit[0] - true).norm(dim=-1) for name, place in places.items()}
    found |= {"EPE2D": (pixels - target).norm(dim=-1), "EPE2D standing still": (query - target).norm(dim=-1)}
    dis = read(torch.from_numpy(dis_flow(pair.frames)).movedim(-1, 0), query)
    found |= {"EPE2D DIS": (query + dis - target).norm(dim=-1), "visible": torch.from_numpy(known(pair.visibility)[1, chosen])}
    return {name: values.numpy() for name, values in found.items()}


def measured_points(pair: ClipSample) -> np.ndarray:
    """Numbers of the tracks that are known and near in both frames, seen in the first on their own surface, and within the second."""
    points, depth = known(pair.tracks3d), known(pair.tracks3d)[..., 2]
    pixels = torch.from_numpy(known(pair.tracks2d))
    shown = sample_maps(torch.from_numpy(known(pair.depth)[:1])[None, ..., None].float(), pixels[None, :1].float())[0, 0, :, 0].numpy()
    usable = np.isfinite(points).all(axis=(0, 2)) & (depth > 0).all(axis=0) & (depth <= FARTHEST_M).all(axis=0)
    if pair.track_valid is not None:
        usable &= pair.track_valid.all(axis=0)
    same = np.abs(shown - depth[0]) <= MotionSettings().same_surface * depth[0]
    return np.flatnonzero(usable & known(pair.visibility)[0] & in_image(pixels, SIZE).numpy().all(axis=0) & same)


def image_batch(frames: np.ndarray) -> Tensor:
    """Frames "T H W 3" to "1 T 3 H W" in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)[None].float() / 255


def dis_flow(frames: np.ndarray) -> np.ndarray:
    """OpenCV's, of a pair, "H W 2"."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    return np.asarray(cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey[0], grey[1], None))


class DecoderFlow:
    """Flow between neighbouring frames by a decoder, as dis-flow's chain takes it; of images alone, since 2D flow sees no geometry."""

    def __init__(self, model: Track4World, frames: np.ndarray, iterations: int) -> None:
        self.shape = frames.shape[:3]
        self._images = image_batch(frames)
        self._model, self._iterations = model, iterations
        self._flows: dict[tuple[int, int], np.ndarray] = {}

    def step(self, start: int, end: int, points: np.ndarray) -> Step:
        """See `labelers.chain.MotionField`."""
        moved = points + sample_flow(self._flow(start, end), points)
        return Step(moved_px=moved, returned_px=moved + sample_flow(self._flow(end, start), moved), found=np.ones(len(points), bool))

    @torch.no_grad()
    def _flow(self, start: int, end: int) -> np.ndarray:
        if (start, end) not in self._flows:
            pair = self._images[:, [start, end]]
            bundle = bundle_without_geometry(pair, token_width=self._model.config.dim_feature)
            flow = self._model(pair, bundle, num_iterations=self._iterations)[-1].flow[0, 0]
            self._flows[start, end] = flow.permute(1, 2, 0).numpy()
        return self._flows[start, end]


def track_with_decoder(model: Track4World, iterations: int, clip: ClipFrames) -> TrackLabels:
    """Tracks through a clip, chained and checked there and back as dis-flow's are."""
    model.eval()
    return follow(DecoderFlow(model, clip.array(), iterations), clip.queries, RoundTripRule())


def track_with_dis_flow(clip: ClipFrames) -> TrackLabels:
    """As `jobs/pseudolabel.py --labeler dis-flow` does."""
    labeler: Labeler = make_labeler("dis-flow")
    return labeler.label([clip])[0]


def stand_still(clip: ClipFrames) -> TrackLabels:
    """Points that stay where they are, in sight."""
    shape = (clip.reader.shape[0], len(clip.queries))
    tracks = np.repeat(clip.queries[None, :, 1:], shape[0], axis=0)
    return TrackLabels(queries=clip.queries, tracks_px=tracks, visibility=np.ones(shape, bool), confidence=np.ones(shape, np.float32))


def track_values(track: Any, clip: ClipSample, size: tuple[int, int] | None) -> dict[str, float]:
    """AJ, delta_avg and OA in percent of one clip's tracks from its first frame, and CPU seconds.

    Args:
        track: from ClipFrames to TrackLabels. size: of the frames that it sees, (H, W); None: as they are stored.
    """
    chosen = np.flatnonzero(known(clip.visibility)[0])[:QUERIES]
    seen = clip if size is None else resize(clip, size)
    given = take_tracks(clip, chosen)
    tracks, visible = known(given.tracks2d), known(given.visibility)
    places = resize_points(tracks[0], clip.frames.shape[1:3], seen.frames.shape[1:3])
    queries = np.concatenate([np.zeros((len(places), 1)), places], axis=1).astype(np.float32)
    began = time.process_time()
    labels = track(ClipFrames(key=clip.key, reader=FramesInMemory(seen.frames), queries=queries))
    seconds = time.process_time() - began
    true = resize_points(tracks, clip.frames.shape[1:3], seen.frames.shape[1:3])
    height, width = seen.frames.shape[1:3]
    found = tapvid_from_labels(labels, true, visible, height=height, width=width)
    return {
        "AJ": 100 * float(found.average_jaccard),
        "delta_avg": 100 * float(found.average_pts_within_thresh),
        "OA": 100 * float(found.occlusion_accuracy),
        "cpu_s": seconds,
    }
