"""Do the coupling losses help where nothing but the losses can? Geometry optimised directly, without a network; three experiments.

A clip of 16 frames, of which 4 are labelled. What a network would give (depth, cameras, 3D tracks) are the parameters, at first the truth
distorted. Only what frames share (a tilt of depth, a focal length) can pass from labelled frames to the others; the rest must come from
pseudo tracks.
"""

import json
import time
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from material import machine
from torch import Tensor
from toy_scene import FOCAL, HEIGHT, WIDTH, ToyScene, make_toy_scene, pixel_grid, rays_of

from pipeline.metrics import Tapvid3dConfig, Tracks3d, tapvid3d_metrics, trajectory_metrics
from trainer.families.trajvg.coupling import labelled_coupling, self_supervised_coupling
from trainer.families.trajvg.settings import CouplingSettings, CouplingWeights, GateSettings, TrackingSettings
from trainer.families.trajvg.static_gates import static_tracks
from trainer.families.trajvg.tracking import normalise_tracks, track_loss
from trainer.geometry import assemble_rigid, motion_to_anchor, sample_maps, transform_points
from trainer.losses import (
    ClipGeometry,
    GeometrySettings,
    GeometryTruth,
    GeometryWeights,
    TrackObservations,
    align_geometry,
    geometry_terms,
    normalise_truth,
)

NUM_FRAMES, NUM_TRACKS = 16, 160
LABELLED = (0, 5, 10, 15)
REST = tuple(t for t in range(NUM_FRAMES) if t not in LABELLED)
UNIT = 0.7  # of a metre: the size that the "network" chose
IMAGE_WIDTH = 256  # noise and thresholds are pixels of such an image


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """What is switched on."""

    consistency: bool = False
    camera: bool = False
    pseudo: bool = False  # the same two losses on the frames without labels
    gates: tuple[str, ...] = ("residual",)


ARMS = {
    "labels only: base": Arm(),
    "labels only: + L_cons + L_cam": Arm(consistency=True, camera=True),
    "with pseudo tracks: + L_cons": Arm(consistency=True, pseudo=True),
    "with pseudo tracks: + L_cons + L_cam": Arm(consistency=True, camera=True, pseudo=True),
    "with pseudo tracks, gate by truth": Arm(consistency=True, camera=True, pseudo=True, gates=("audit",)),
    "with pseudo tracks, gate off": Arm(consistency=True, camera=True, pseudo=True, gates=()),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """How the parameters are optimised."""

    steps: int = 200
    warm_up: int = 75  # on labels only, so that the residual gate has cameras to believe
    rate: float = 0.01
    own_share: float = 0.1  # of the rate, for the depth that each frame has to itself
    lambda_self: float = 0.1
    noise_px: float = 1.0
    moving_share: float = 0.35
    depth_bumps: float = 0.03  # of depth, smooth across each frame
    depth_jitter: float = 0.01  # of each frame's scale: how far frames disagree about the size of the scene
    travel_m: float = 0.15  # of each camera's place, per axis
    turn: float = 0.03  # of each camera, radians per axis


class FreeGeometry(torch.nn.Module):
    """Depth, cameras and tracks as parameters, distorted at birth."""

    def __init__(self, scene: ToyScene, rng: np.random.Generator, schedule: Schedule) -> None:
        super().__init__()

        def tensor(values: np.ndarray) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32)

        bumps = (
            rng.normal(size=(NUM_FRAMES, 1, 5, 6)) * schedule.depth_bumps + rng.normal(size=(NUM_FRAMES, 1, 1, 1)) * schedule.depth_jitter
        )
        distorted = F.interpolate(tensor(bumps), (HEIGHT, WIDTH), mode="bicubic", align_corners=True)[:, 0]
        rays = rays_of(pixel_grid())
        self.register_buffer("rays", tensor(rays))
        tilt = tensor(rng.normal(size=2) * 0.15)
        self.register_buffer("log_depth", tensor(np.log(UNIT * scene.local_points[..., 2])) + distorted + self.rays[..., :2] @ tilt)
        seen = (scene.tracks_world - scene.camera_to_world[:, None, :3, 3]) @ scene.camera_to_world[:, :3, :3]
        shaken = seen * (1 + 0.06 * rng.normal(size=(*seen.shape[:2], 1))) + 0.08 * rng.normal(size=seen.shape)
        self.register_buffer("rotation", tensor(scene.camera_to_world[:, :3, :3]))
        turn, travel = schedule.turn * rng.normal(size=(NUM_FRAMES, 3)), schedule.travel_m * rng.normal(size=(NUM_FRAMES, 3))
        self.correction = torch.nn.Parameter(torch.zeros(NUM_FRAMES, 1, 9, 12))
        self.tilt = torch.nn.Parameter(torch.zeros(2))  # shared by all frames, as is the focal length
        self.log_focal = torch.nn.Parameter(torch.full((), 0.05))
        self.register_buffer("pivot", tensor(np.array([0.0, 0.0, 5.0 * UNIT])))
        self.turn = torch.nn.Parameter(tensor(turn))
        centres = tensor(UNIT * (scene.camera_to_world[:, :3, 3] + travel))
        self.offset = torch.nn.Parameter(centres - self.swing().detach())
        self.tracks = torch.nn.Parameter(tensor(UNIT * shaken))

    def turned(self) -> Tensor:
        """The turns as rotations, "T 3 3"."""
        x, y, z = self.turn.unbind(-1)
        zero = torch.zeros_like(x)
        skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
        return torch.linalg.matrix_exp(skew)

    def swing(self) -> Tensor:
        """How far a camera travels as it turns about a point 5 m ahead, "T 3".

        Turned on the spot it would have to travel at the same time to keep its view, a narrow valley that descent creeps along.
        """
        return (self.rotation @ (self.pivot - self.turned() @ self.pivot)[..., None])[..., 0]

    def forward(self) -> ClipGeometry:
        """All frames, as a network would give them."""
        smooth = F.interpolate(self.correction, (HEIGHT, WIDTH), mode="bilinear", align_corners=True)[:, 0]
        depth = (self.log_depth + smooth + self.rays[..., :2] @ self.tilt).exp()[..., None]
        widened = torch.cat([self.rays[..., :2] * self.log_focal.exp(), self.rays[..., 2:]], dim=-1)
        cameras = assemble_rigid(self.rotation @ self.turned(), self.offset + self.swing())
        return ClipGeometry(local_points=(widened * depth)[None], camera_to_world=cameras[None], tracks=self.tracks[None])


class Material:
    """What an arm learns from: labels of some frames, pseudo tracks of the others."""

    def __init__(self, scene: ToyScene, rng: np.random.Generator, noise_px: float) -> None:
        def rows(values: np.ndarray, frames: tuple[int, ...]) -> Tensor:
            chosen = torch.as_tensor(values[list(frames)])[None]
            return chosen.float() if chosen.is_floating_point() else chosen

        maps = rows(scene.local_points, LABELLED)
        truth = GeometryTruth(
            local_points=maps,
            camera_to_world=rows(scene.camera_to_world, LABELLED),
            valid=torch.ones(maps.shape[:4], dtype=torch.bool),
        )
        self.truth = normalise_truth(truth)
        visible = rows(scene.visible, LABELLED)
        self.observed = TrackObservations(tracks_px=rows(scene.pixels, LABELLED), frame_weights=visible.float())
        self.tracks = normalise_tracks(
            rows(scene.tracks_world, LABELLED), truth.camera_to_world, visible, norm=self.truth.norm, tau=0.05 / self.truth.norm
        )
        noisy = scene.pixels + noise_px * WIDTH / IMAGE_WIDTH * rng.normal(size=scene.pixels.shape)
        noisy[0] = scene.pixels[0]  # where the tracker was asked
        frames = (0, *REST)
        self.pseudo = TrackObservations(
            tracks_px=rows(noisy, frames),
            frame_weights=rows(scene.visible, frames).float(),
            static_score=torch.as_tensor(~scene.moving, dtype=torch.float32)[None],
        )


def main(
    seeds: Annotated[int, typer.Option(help="Scenes.")] = 3,
    first_seed: Annotated[int, typer.Option(help="Of the first scene.")] = 0,
    steps: Annotated[int, typer.Option(help="Of every arm.")] = 200,
    depth_bumps: Annotated[float, typer.Option(help="Of depth, smooth across each frame.")] = 0.03,
    depth_jitter: Annotated[float, typer.Option(help="Of each frame's depth scale.")] = 0.01,
) -> None:
    """Print one JSON."""
    torch.set_num_threads(1)
    start, schedule = time.perf_counter(), Schedule(steps=steps, depth_bumps=depth_bumps, depth_jitter=depth_jitter)
    numbers = range(first_seed, first_seed + seeds)
    results = {name: [run(arm, seed, schedule) for seed in numbers] for name, arm in ARMS.items()}
    before = [run(Arm(), seed, replace(schedule, steps=0)) for seed in numbers]
    what = (
        f"direct optimisation of {NUM_FRAMES} frames of {WIDTH}x{HEIGHT}, {len(LABELLED)} labelled, {NUM_TRACKS} tracks,"
        f" {schedule.moving_share:.0%} on two movers, pseudo tracks with {schedule.noise_px} px of noise; figures of the unlabelled frames,"
        f" one per seed; ate in metres, apd in per cent; depth off by bumps of {depth_bumps:.0%}, "
        f"scale of frames by {depth_jitter:.0%}, places of cameras by {schedule.travel_m} m an axis"
    )
    report = {"what": what, "before": columns(before), "arms": {name: columns(rows) for name, rows in results.items()}}
    print(
        json.dumps(report | {"claims": claims(results), "seconds": round(time.perf_counter() - start, 1), "machine": machine()}, indent=1)
    )


def run(arm: Arm, seed: int, schedule: Schedule) -> dict[str, float]:
    """Optimise one arm on one scene. All arms of a seed see the same scene, distortion and noise."""
    rng = np.random.default_rng([7301, seed])
    scene = make_toy_scene(rng, num_frames=NUM_FRAMES, num_tracks=NUM_TRACKS, moving_share=schedule.moving_share)
    model, material = FreeGeometry(scene, rng, schedule), Material(scene, rng, schedule.noise_px)
    optimiser = torch.optim.Adam(groups_of(model, schedule))
    for step in range(schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * 0.5 * (1 + np.cos(np.pi * step / schedule.steps))
        prediction = model()
        loss = supervised(prediction, material, arm)
        if arm.pseudo and step >= schedule.warm_up:
            loss = loss + schedule.lambda_self * self_supervised(prediction, material, arm)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        found = measured(model(), scene, material, arm)
    typer.echo(f"seed {seed}, {schedule.steps} steps, {arm}: {found}", err=True)
    return found


def groups_of(model: FreeGeometry, schedule: Schedule) -> list[dict[str, object]]:
    """What frames share learns at the full rate, what each frame has of depth at a share of it: a network shares most of what it learns."""
    own = [model.correction]
    others = [parameter for parameter in model.parameters() if parameter is not model.correction]
    rates = ((others, schedule.rate), (own, schedule.own_share * schedule.rate))
    return [{"params": parameters, "lr": rate, "peak": rate} for parameters, rate in rates]


def frames_of(prediction: ClipGeometry, frames: tuple[int, ...]) -> ClipGeometry:
    """Some frames of a clip."""
    rows = list(frames)
    tracks = None if prediction.tracks is None else prediction.tracks[:, rows]
    return ClipGeometry(local_points=prediction.local_points[:, rows], camera_to_world=prediction.camera_to_world[:, rows], tracks=tracks)


def weights_of(arm: Arm) -> CouplingWeights:
    """1 for what is on, 0 for what is off."""
    cons, cam = float(arm.consistency), float(arm.camera)
    return CouplingWeights(consistency_points=cons, consistency_tracks=cons, camera_poses=cam, camera_points=cam)


def supervised(prediction: ClipGeometry, material: Material, arm: Arm) -> Tensor:
    """Labels: π³'s losses, the track loss, and what the arm adds."""
    labelled, settings = frames_of(prediction, LABELLED), GeometrySettings()
    aligned = align_geometry(labelled, material.truth, settings)
    loss = geometry_terms(aligned, material.truth, settings).total(GeometryWeights())
    assert labelled.tracks is not None
    loss = loss + track_loss([labelled.tracks], material.tracks, scale=aligned.scale, settings=TrackingSettings())
    coupling = labelled_coupling(labelled, material.observed, material.tracks, scale=aligned.scale, settings=CouplingSettings())
    return (loss + coupling.total(weights_of(arm))).sum()


def self_supervised(prediction: ClipGeometry, material: Material, arm: Arm) -> Tensor:
    """Pseudo tracks on all frames without labels; frame 0 is the anchor."""
    settings = CouplingSettings(gate=GateSettings(gates=arm.gates))
    return self_supervised_coupling(frames_of(prediction, (0, *REST)), material.pseudo, settings).total(weights_of(arm)).sum()


def measured(prediction: ClipGeometry, scene: ToyScene, material: Material, arm: Arm) -> dict[str, float]:
    """Errors of the frames without labels, against the truth."""
    rows = list(REST)
    trajectory = trajectory_metrics(prediction.camera_to_world[0, rows].numpy(), scene.camera_to_world[rows])
    assert prediction.tracks is not None
    seen = (scene.tracks_world - scene.camera_to_world[:, None, :3, 3]) @ scene.camera_to_world[:, :3, :3]
    to_first = (scene.tracks_world - scene.camera_to_world[0, :3, 3]) @ scene.camera_to_world[0, :3, :3]
    moved = transform_points(motion_to_anchor(prediction.camera_to_world, 0), prediction.tracks)[0].numpy()
    mine = frames_of(prediction, (0, *REST))
    samples = sample_maps(mine.local_points, material.pseudo.tracks_px)
    chosen = static_tracks(mine, samples, material.pseudo, 0, GateSettings(gates=arm.gates))[0].numpy()
    return {
        "ate_m": trajectory.ate,
        "rpe_trans_m": trajectory.rpe_trans,
        "rpe_rot_deg": trajectory.rpe_rot_deg,
        "apd_camera": apd(seen[rows], prediction.tracks[0, rows].numpy(), scene.visible[rows]),
        "apd_world": apd(to_first[rows], moved[rows], scene.visible[rows]),
        "gate_precision": float(np.mean(~scene.moving[chosen])) if chosen.any() else float("nan"),
        "gate_recall": float(np.mean(chosen[~scene.moving])),
    }


def apd(truth: np.ndarray, prediction: np.ndarray, visible: np.ndarray) -> float:
    """TAPVid-3D's APD, per cent, after scaling by the ratio of the mean distances.

    Not of the medians: movers near by and a room far off leave a gap in the distances, and a median that falls into it says nothing.
    """
    true, predicted = (Tracks3d(positions=positions, visible=visible) for positions in (truth, prediction))
    metrics = tapvid3d_metrics(true, predicted, focal_px=FOCAL * IMAGE_WIDTH / WIDTH, config=Tapvid3dConfig(scaling="mean"))
    return 100 * float(metrics.average_pts_within_thresh)


def columns(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    """By measure, one value per seed."""
    return {name: [float(f"{row[name]:.4g}") for row in rows] for name in rows[0]}


def claims(results: dict[str, list[dict[str, float]]]) -> dict[str, object]:
    """The three things that are to be shown, per seed."""

    def of(arm: str, name: str) -> np.ndarray:
        return np.array([row[name] for row in results[arm]])

    base, labels, cons, full, _, ungated = ARMS
    drop = 1 - of(full, "ate_m") / of(labels, "ate_m")
    steps = {name: [of(arm, name) for arm in (base, cons, full)] for name in ("apd_camera", "apd_world")}
    return {
        "D1: share by which L_self lowers ATE (at least 0.2)": drop.round(3).tolist(),
        "D2: APD does not fall at either step": {
            name: ((values[1] >= values[0]) & (values[2] >= values[1])).tolist() for name, values in steps.items()
        },
        "D3: ATE without the gate over ATE with it (more than 1)": (of(ungated, "ate_m") / of(full, "ate_m")).round(3).tolist(),
    }


if __name__ == "__main__":
    typer.run(main)
