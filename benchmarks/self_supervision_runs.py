"""Training of the self-supervision experiments: a base on labels, and arms from its checkpoint."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from experiments import batch, optimisation, step
from self_supervision_clips import Window
from self_supervision_network import CAMERA_PARTS, TRACKER_PARTS, UNUSED_PARTS, PixelTrajVG, images_of
from torch import Tensor

from networks.pi3 import ModelOutput
from trainer.data import ClipBatch
from trainer.data.batches import PreparedClip
from trainer.families.trajvg.family import labelled_losses, pseudo_losses
from trainer.families.trajvg.settings import CouplingSettings, CouplingWeights, TrackingWeights, TrajVGLosses
from trainer.geometry import sample_maps
from trainer.losses import GeometryWeights

STUDIO_CLIPS, WILD_CLIPS = 4, 4  # windows of a step
SELF_WEIGHT = 0.1  # lambda_self
HUBER = 0.03  # of the coupling losses: depth is off by more than a few percent at edges, which shall not count as squares


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One way of going on from the base. Labelled clips are read alike in all."""

    form: Literal["points", "reprojection"] | None = "points"  # of the pose term on wild clips; None leaves L_self out
    tracks: Literal["audited", "true", "shuffled"] = "audited"
    consistency: bool = False  # L_cons on wild clips too


ARMS = {  # on stored tokens, cameras alone
    "none": Arm(form=None),
    "printed": Arm(),
    "printed, true tracks": Arm(tracks="true"),
    "printed, shuffled tracks": Arm(tracks="shuffled"),
    "reprojection": Arm(form="reprojection"),
    "reprojection, true tracks": Arm(form="reprojection", tracks="true"),
    "reprojection, shuffled tracks": Arm(form="reprojection", tracks="shuffled"),
}
WHOLE_ARMS = {  # the whole network; L_cons does not reach cameras, so only here it can matter
    "whole: none": Arm(form=None),
    "whole: printed": Arm(),
    "whole: printed, shuffled tracks": Arm(tracks="shuffled"),
    "whole: printed + L_cons": Arm(consistency=True),
}


def train_base(model: PixelTrajVG, clips: Sequence[Window], *, seed: int, steps: int, rate: float) -> list[float]:
    """Depth and cameras, on labels."""
    # cameras that have not been learned need more than π³'s weight of 0.1
    losses = labelled_only(geometry=GeometryWeights(points=1, normals=0, camera=1, confidence=0))

    def loss_of(draw: np.random.Generator) -> Tensor:
        chosen = drawn(clips, STUDIO_CLIPS, draw)
        return on_labels(model.geometry(images_of(chosen, model)).output, chosen, losses)

    return learn(model, loss_of, without=(*TRACKER_PARTS, *UNUSED_PARTS), seed=seed, steps=steps, rate=rate)


def train_tracker(model: PixelTrajVG, clips: Sequence[Window], *, seed: int, steps: int, rate: float) -> list[float]:
    """TrajVG's first stage: the tracker on the frozen rest, on labels."""
    losses = labelled_only(geometry=None, tracking=TrackingWeights(tracks=1, visibility=0.1))

    def loss_of(draw: np.random.Generator) -> Tensor:
        chosen = drawn(clips, STUDIO_CLIPS, draw)
        return on_labels(tracked(model, chosen), chosen, losses)

    return learn(model, loss_of, only=TRACKER_PARTS, seed=seed, steps=steps, rate=rate)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stored:
    """What the frozen part of a network makes of windows: all that a step of the camera branch needs."""

    tokens: Tensor  # "n T L 2C"
    local_points: Tensor  # "n T H W 3"


def store(model: PixelTrajVG, clips: Sequence[Window]) -> Stored:
    """Without gradient."""
    tokens, points = [], []
    with torch.no_grad():
        for first in range(0, len(clips), 16):
            images = images_of(clips[first : first + 16], model)
            last = model.decoded(images).last
            points.append(model.local_points(last, images))
            tokens.append(last.unflatten(0, images.shape[:2]))
    return Stored(tokens=torch.cat(tokens), local_points=torch.cat(points))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pools:
    """What an arm reads."""

    studio: Sequence[Window]
    wild: Sequence[Window]


def train_cameras(model: PixelTrajVG, arm: Arm, pools: Pools, *, weight: float, seed: int, steps: int, rate: float) -> list[float]:
    """The camera branch on stored tokens of both pools, all else frozen. L_cons is left out: it does not reach cameras."""
    studio, wild = store(model, pools.studio), store(model, pools.wild)
    losses = arm_losses(arm, weight, GeometryWeights(points=0, normals=0, camera=0.1, confidence=0), None)

    def loss_of(draw: np.random.Generator) -> Tensor:
        labelled, pseudo = numbers(pools.studio, STUDIO_CLIPS, draw), numbers(pools.wild, WILD_CLIPS, draw)
        loss = on_labels(from_stored(model, studio, labelled), [pools.studio[n] for n in labelled], losses)
        if arm.form is None:
            return loss
        told = batch([tracks_told(pools.wild, n, arm) for n in pseudo])
        output = from_stored(model, wild, pseudo)
        output = replace(output, traj3d_camera=[sample_maps(output.local_points, told.observations.tracks_px)])
        return loss + on_tracks(output, told, losses)

    return learn(model, loss_of, only=CAMERA_PARTS, seed=seed, steps=steps, rate=rate)


def train_whole(model: PixelTrajVG, arm: Arm, pools: Pools, losses: TrajVGLosses, *, seed: int, steps: int, rate: float) -> list[float]:
    """All parts on both pools; what tracks no loss asks for are not computed."""

    def loss_of(draw: np.random.Generator) -> Tensor:
        labelled, pseudo = numbers(pools.studio, STUDIO_CLIPS // 2, draw), numbers(pools.wild, WILD_CLIPS // 2, draw)
        chosen = [pools.studio[n] for n in labelled]
        output = tracked(model, chosen) if losses.needs_tracks else model.geometry(images_of(chosen, model)).output
        loss = on_labels(output, chosen, losses)
        if not losses.learns_from_pseudo_labels:
            return loss
        told = batch([tracks_told(pools.wild, n, arm) for n in pseudo])
        return loss + on_tracks(model(images_of([pools.wild[n] for n in pseudo], model), told.query_points), told, losses)

    return learn(model, loss_of, without=UNUSED_PARTS, seed=seed, steps=steps, rate=rate)


def labelled_only(*, geometry: GeometryWeights | None, tracking: TrackingWeights | None = None) -> TrajVGLosses:
    return TrajVGLosses(geometry=geometry, tracking=tracking, coupling=None, self_supervised=None)


def arm_losses(arm: Arm, weight: float, geometry: GeometryWeights, tracking: TrackingWeights | None) -> TrajVGLosses:
    """Of an arm; `weight` is that of camera_poses within L_self."""
    consistency = float(arm.consistency)
    weights = CouplingWeights(consistency_points=consistency, consistency_tracks=consistency, camera_poses=weight, camera_points=0)
    return TrajVGLosses(
        geometry=geometry,
        tracking=tracking,
        coupling=None,
        self_supervised=None if arm.form is None else weights,
        self_supervised_weight=SELF_WEIGHT,
        coupling_settings=CouplingSettings(huber=HUBER, self_pose_form=arm.form or "points"),
    )


def on_labels(output: ModelOutput, clips: Sequence[Window], losses: TrajVGLosses) -> Tensor:
    told = batch([window.labelled for window in clips])
    return labelled_losses(output, told, told.truth(), losses).total().mean()


def on_tracks(output: ModelOutput, told: ClipBatch, losses: TrajVGLosses) -> Tensor:
    assert losses.self_supervised is not None, "the arm has L_self"
    return pseudo_losses(output, told, losses.self_supervised, losses).total().mean()


def tracked(model: PixelTrajVG, clips: Sequence[Window]) -> ModelOutput:
    output: ModelOutput = model(images_of(clips, model), batch([window.labelled for window in clips]).query_points)
    return output


def from_stored(model: PixelTrajVG, stored: Stored, chosen: np.ndarray) -> ModelOutput:
    """Cameras with gradient, the rest as stored."""
    points = stored.local_points[chosen]
    return ModelOutput(points=points, local_points=points, conf=points[..., :1], camera_poses=model.cameras(stored.tokens[chosen]))


def tracks_told(clips: Sequence[Window], chosen: int, arm: Arm) -> PreparedClip:
    """What the arm is told of a wild clip: its audited tracks, its true ones, or those of the next clip in the list; never its truth."""
    window = clips[(chosen + 1) % len(clips)] if arm.tracks == "shuffled" else clips[chosen]
    told = replace(window.labelled, truth=None) if arm.tracks == "true" else window.pseudo
    assert told is not None, "wild clips of the pools have tracks"
    return told


def drawn(clips: Sequence[Window], count: int, draw: np.random.Generator) -> list[Window]:
    return [clips[number] for number in numbers(clips, count, draw)]


def numbers(clips: Sequence[Window], count: int, draw: np.random.Generator) -> np.ndarray:
    return draw.choice(len(clips), min(count, len(clips)), replace=False)


def learn(
    model: PixelTrajVG,
    loss_of: Callable[[np.random.Generator], Tensor],
    *,
    seed: int,
    steps: int,
    rate: float,
    only: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> list[float]:
    """Train the parts that are named, or all without those that are; returns the loss of every step."""
    model.train()
    for name, parameter in model.named_parameters():
        part = name.split(".")[0]
        parameter.requires_grad_((not only or part in only) and part not in without)
    optimiser, schedule = optimisation([p for p in model.parameters() if p.requires_grad], rate, steps)
    draw = np.random.default_rng([seed, 7])
    return [step(optimiser, schedule, loss_of(draw)) for _ in range(steps)]
