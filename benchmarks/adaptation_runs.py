"""Training and measuring of the adaptation experiment: a tiny St4RTrack on stand-in channels, by the losses of the family."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from adaptation_clips import CHANNELS, Window, pair_images
from experiments import batch, optimisation, step
from torch import Tensor

from networks import build_model
from networks.st4rtrack.network import DUSt3R
from pipeline.metrics.world_tracks import dynamic_tracks, world_track_metrics
from trainer.data import ClipBatch
from trainer.data.batches import PreparedClip
from trainer.families.st4rtrack.family import St4RTrackFamily, world_of_maps
from trainer.families.st4rtrack.losses import clip_maps
from trainer.families.st4rtrack.settings import Adapt, AdaptationSettings, AdaptationWeights, St4RTrackLosses, SupervisedSettings
from trainer.geometry import invert_rigid, transform_points

MODEL = {  # linear heads, as DUSt3R's first files have: with so few patches a DPT learns slowly, and costs more than all the rest
    "enc_embed_dim": 128, "enc_depth": 2, "enc_num_heads": 4, "dec_embed_dim": 128, "dec_depth": 4, "dec_num_heads": 4, "patch_size": 4,
    "head_type": "linear", "input_channels": CHANNELS,
}  # fmt: skip
ENCODER = ("patch_embed", "enc_blocks", "enc_norm")
COPY_CONSTANT = 60.0
POINT, MOVED = 3, 8  # first of the three channels of an image
CLIPS_PER_STEP, PAIRS = 2, 4  # of the base's training; one of the pairs is (0, 0)
FAMILY = St4RTrackFamily()


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One way of adapting."""

    without: str | None = None  # the term whose weight is 0
    adapt: Adapt = "all"
    tracks: Literal["audited", "shuffled", "true"] = "audited"
    depth: Literal["labels", "shuffled"] = "labels"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """What is chosen on clips that are used for nothing else."""

    rate: float
    weights: AdaptationWeights


FULL = Arm()
ARMS = {
    "full": FULL,
    "tracking": Arm(adapt="tracking"),
    "no trajectory": Arm(without="trajectory"),
    "no depth": Arm(without="depth"),
    "no alignment": Arm(without="alignment"),
    "shuffled tracks": Arm(tracks="shuffled"),
    "shuffled depth": Arm(depth="shuffled"),
    "true tracks": Arm(tracks="true"),
}


def new_model(seed: int) -> DUSt3R:
    """With random weights."""
    torch.manual_seed(seed)
    model = build_model("dust3r", config=MODEL)
    assert isinstance(model, DUSt3R)
    return model


def copying_start(model: DUSt3R) -> None:
    """Stand-in for pretrained weights: both heads begin by giving the points that their own image's channels hold, to 1 %.

    Points pass through unchanged in channels of their own: beside a constant so large that norms, which divide by a token's deviation,
    hardly change them, and a zero, which tells the mean that norms subtract. Blocks begin as adding nothing, and see what is not that
    constant as it is.
    """
    width, patch = MODEL["enc_embed_dim"], MODEL["patch_size"]
    constant = torch.zeros(width)
    constant[:2] = torch.tensor([COPY_CONSTANT, -COPY_CONSTANT])
    deviation = float(constant.square().mean().sqrt())
    pixels = torch.arange(3 * patch**2)  # of a patch, coordinate by coordinate
    moved = 3 + len(pixels) + pixels
    with torch.no_grad():
        embed, head_layers = model.patch_embed.proj, (model.downstream_head1.proj, model.downstream_head2.proj)
        embed.weight[: 3 + 2 * len(pixels)] = 0
        for channel, first in ((3 + pixels, POINT), (moved, MOVED)):
            embed.weight[channel, first + pixels // patch**2, pixels % patch**2 // patch, pixels % patch] = 1
        embed.bias.copy_(constant)
        model.decoder_embed.weight.copy_(torch.eye(width))
        model.decoder_embed.bias.zero_()
        for name, norm in model.named_modules():
            if isinstance(norm, torch.nn.LayerNorm):
                norm.weight.fill_(deviation)
                if "blocks" in name:
                    norm.weight[:2] = 0
        for layer in head_layers:
            layer.weight.zero_()
            layer.bias.zero_()
            layer.weight[pixels, 3 + pixels], layer.weight[pixels, 2] = 1, -1
        for name, parameter in model.named_parameters():
            if "blocks" in name and name.split(".")[-2] in ("proj", "fc2"):  # the last layer of an attention, of an MLP
                parameter.zero_()


def train_base(model: DUSt3R, clips: Sequence[Window], *, seed: int, steps: int, rate: float, reweight: bool) -> list[float]:
    """Supervised, in pairs of the first frame with drawn ones; returns the loss of every step."""
    settings = St4RTrackLosses(adaptation=None, supervised_settings=SupervisedSettings(reweight_dynamic=reweight))
    draw = np.random.default_rng(seed)  # the same clips, whether reweighted or not
    optimiser, schedule = optimisation(list(model.parameters()), rate, steps)
    history = []
    for _ in range(steps):
        chosen = [clips[number] for number in draw.choice(len(clips), CLIPS_PER_STEP, replace=False)]
        frames = np.concatenate([[0], 1 + np.sort(draw.choice(len(chosen[0].channels) - 1, PAIRS - 1, replace=False))])
        taken = [take(window.labelled, frames) for window in chosen]
        clip_batch = batch(taken)
        channels = torch.stack([window.channels[frames] for window in chosen])
        losses = FAMILY.labelled_losses(model(*pair_images(clip_batch.images, channels)), clip_batch, settings)
        history.append(step(optimiser, schedule, losses.total().mean()))
    return history


def adapt(model: DUSt3R, arm: Arm, clips: Sequence[Window], tuning: Tuning, *, seed: int, steps: int) -> list[float]:
    """Adapt to clips without truth, one a step; encoder frozen; returns the loss of every step."""
    settings = St4RTrackLosses(
        supervised=None,
        adaptation=tuning.weights if arm.without is None else replace(tuning.weights, **{arm.without: 0.0}),
        adaptation_settings=AdaptationSettings(adapt=arm.adapt),
    )
    start = copy.deepcopy(model).eval().requires_grad_(False)
    for name in ENCODER:
        model.get_submodule(name).requires_grad_(False)
    draw = np.random.default_rng([seed, 7])
    optimiser, schedule = optimisation([p for p in model.parameters() if p.requires_grad], tuning.rate, steps)
    order: list[int] = []
    history = []
    for _ in range(steps):
        order = order or draw.permutation(len(clips)).tolist()
        chosen = order.pop()
        clip_batch = batch([labels_of(clips, chosen, arm)])
        images = pair_images(clip_batch.images, clips[chosen].channels[None])
        output = model(*images)
        if arm.adapt == "tracking":
            with torch.no_grad():
                fixed = start(*images)
            output = replace(output, point_map_2=fixed.point_map_2, confidence_2=fixed.confidence_2)
        losses = FAMILY.pseudo_losses(output, clip_batch, settings)
        history.append(step(optimiser, schedule, losses.total().mean()))
    return history


def labels_of(clips: Sequence[Window], chosen: int, arm: Arm) -> PreparedClip:
    """What the arm is told of a clip: its labels, or those of the next clip in the list."""
    own, other = clips[chosen].pseudo, clips[(chosen + 1) % len(clips)].pseudo
    assert own is not None, "the adapted clips have labels"
    assert other is not None, "the adapted clips have labels"
    result = own
    if arm.tracks == "true":
        truth = clips[chosen].labelled
        result = replace(result, tracks_px=truth.tracks_px, frame_weights=truth.frame_weights)
    if arm.tracks == "shuffled":
        result = replace(result, tracks_px=other.tracks_px, frame_weights=other.frame_weights)
    if arm.depth == "shuffled":
        result = replace(result, pseudo_depth=other.pseudo_depth)
    return result


def take(clip: PreparedClip, frames: np.ndarray) -> PreparedClip:
    """Some frames of a labelled clip, the first one first."""
    truth = clip.truth
    assert truth is not None, "supervised clips have truth"
    per_frame = ("depth", "intrinsics", "camera_to_world", "pose_valid", "tracks3d_world", "visibility")
    fewer = {name: getattr(truth, name)[frames] for name in per_frame}
    sky = None if truth.sky_mask is None else truth.sky_mask[frames]
    images, tracks, weights = (getattr(clip, name)[frames] for name in ("images", "tracks_px", "frame_weights"))
    return replace(clip, images=images, tracks_px=tracks, frame_weights=weights, truth=replace(truth, **fewer, sky_mask=sky))


def measure(model: DUSt3R, windows: Sequence[Window]) -> list[dict[str, float]]:
    """Values of every clip."""
    model.eval()
    result = []
    for window in windows:
        clips = batch([window.labelled])
        with torch.no_grad():
            maps = clip_maps(model(*pair_images(clips.images, window.channels[None])), 1)[0]
        seen = clips.observations.frame_weights[0, 0] > 0
        geometry = world_of_maps(maps, clips.query_points[0, seen])
        assert geometry.traj3d_world is not None, "queries were given"
        truth, known = true_tracks(clips, seen)
        predicted = geometry.traj3d_world[0][0].double().numpy()
        still = np.repeat(predicted[:1], len(predicted), axis=0)
        values = {**track_values(predicted, truth, known, ""), **track_values(still, truth, known, "still_")}
        result.append({**values, **camera_values(geometry.camera_poses[0].double(), geometry.points[0], clips)})
    return result


def true_tracks(clips: ClipBatch, seen: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Positions "T N 3" in the first camera, and which of them are known in all frames."""
    assert clips.tracks3d_world is not None, "measured clips have truth"
    tracks = transform_points(invert_rigid(clips.truth().camera_to_world[0, :1]), clips.tracks3d_world[0, :, seen]).double().numpy()
    known = np.isfinite(tracks).all(axis=(0, 2))
    return np.where(known[:, None], tracks, 0), known


def track_values(predicted: np.ndarray, truth: np.ndarray, known: np.ndarray, prefix: str) -> dict[str, float]:
    """End-point error and APD, of all and of moving points; and the moving points' error over their true displacement.

    One scale for all: the median one over all known tracks, so that what moves is not aligned by itself.
    """
    moving = known & dynamic_tracks(truth)
    every = world_track_metrics(predicted, truth, tracks=known)
    values = {f"{prefix}epe_all": every.epe_m, f"{prefix}apd_all": 100 * every.apd}
    own = world_track_metrics(predicted, truth, tracks=moving)
    values[f"{prefix}apd_dynamic"] = 100 * own.apd
    values[f"{prefix}epe_dynamic_aligned"] = own.epe_m
    error = np.linalg.norm(every.scale * predicted - truth, axis=-1)[1:, moving]
    displacement = np.linalg.norm(truth - truth[:1], axis=-1)[1:, moving]
    enough = bool(moving.any()) and displacement.mean() > 0
    values[f"{prefix}epe_dynamic"] = float(error.mean()) if enough else np.nan
    values[f"{prefix}epe_over_displacement"] = float(error.mean() / displacement.mean()) if enough else np.nan
    return values


def camera_values(poses: Tensor, points: Tensor, clips: ClipBatch) -> dict[str, float]:
    """Error of head 2: its cameras' places by PnP over the true ones' distance from the first (1 is standing still), and its depth's."""
    truth = clips.truth()
    true_poses = (invert_rigid(truth.camera_to_world[0, :1]) @ truth.camera_to_world[0]).double()
    valid = truth.valid[0]
    true_points = transform_points(true_poses, truth.local_points[0].double().flatten(1, 2)).unflatten(1, points.shape[1:3])
    scale = true_points[valid].norm(dim=-1).median() / points[valid].norm(dim=-1).median()
    off = (scale * poses[:, :3, 3] - true_poses[:, :3, 3]).norm(dim=-1)[1:].mean()
    turn = (poses[:, :3, :3].mT @ true_poses[:, :3, :3]).diagonal(dim1=1, dim2=2).sum(-1)
    angle = torch.rad2deg(((turn - 1) / 2).clamp(-1, 1).arccos())[1:].mean()
    moved = true_poses[:, :3, 3].norm(dim=-1)[1:].mean()
    near = (scale * points - true_points).norm(dim=-1)[valid] / true_points[valid].norm(dim=-1).clamp_min(1e-3)
    return {"camera_error": float(off / moved), "rotation_deg": float(angle), "points_relative": float(near.mean())}
