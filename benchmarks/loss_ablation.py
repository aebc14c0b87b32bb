"""Tables 8 and 10 of TrajVG in miniature: its losses added one after the other, measured by point maps and by tracks in space.

The same bases and pools of clips as benchmarks/self_supervision.py, taken from its folder if they are there and made if not. From each
seed's base, which has learned depth and cameras, one network per arm goes on with all of its parts: the same labelled clips in the same
order, and wild ones where L_self asks for them. Two controls stand beside: the base as it is, and L_self with another clip's tracks.
Measured on wild clips that nothing else is done with. Run again, it goes on where it stopped.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from experiments import batch, difference, save
from loss_ablation_network import FlowTrajVG
from material import machine
from self_supervision import Plan, base_name, make_data, train_one_base
from self_supervision_clips import SIZE, Window
from self_supervision_network import PixelTrajVG, images_of
from self_supervision_runs import HUBER, SELF_WEIGHT, Arm, train_whole

from networks.pi3 import ModelOutput
from pipeline.metrics import Tracks3d, evaluation_focal, point_map_metrics, tapvid3d_metrics
from trainer.families.trajvg.settings import CouplingSettings, CouplingWeights, TrackingWeights, TrajVGLosses
from trainer.geometry import invert_rigid, transform_points
from trainer.losses import GeometryWeights

_BASE = TrajVGLosses(
    geometry=GeometryWeights(points=1, normals=0, camera=0.1, confidence=0),
    tracking=None,
    coupling=None,
    self_supervised=None,
    self_supervised_weight=SELF_WEIGHT,
    coupling_settings=CouplingSettings(huber=HUBER),
)
_TRACKING = replace(_BASE, tracking=TrackingWeights(tracks=1, visibility=0.1))
_CONS = replace(_TRACKING, coupling=CouplingWeights(camera_poses=0, camera_points=0))
_CAM = replace(_CONS, coupling=CouplingWeights())
ARMS = {  # each has all that the one before it has
    "π³'s losses": _BASE,
    "+ 3D tracking": _TRACKING,
    "+ L_cons": _CONS,
    "+ L_cam": _CAM,
    "+ L_self": replace(_CAM, self_supervised=CouplingWeights(camera_poses=100)),  # as configs/small.yaml has it
}
LAST = "+ L_self"
CONTROL = "+ L_self, another clip's tracks"  # beside the last arm
BASE = "the base"  # what all arms start from; its tracks are the point map's where the given flow leads
ROWS = (BASE, *ARMS, CONTROL)
TABLES = {
    "table 8, point maps": {"accuracy": "Acc, m", "completion": "Comp, m", "normal_consistency": "NC"},
    "table 10, tracks in space": {"aj": "AJ", "apd": "APD", "oa": "OA"},
}
PAPER = {  # ETH3D and DynamicReplica; Table 8 has no row with L_cons alone
    "table 8, point maps": {
        "π³'s losses": (0.177, 0.201, 0.888),
        "+ 3D tracking": (0.175, 0.199, 0.887),
        "+ L_cam": (0.170, 0.196, 0.889),
        "+ L_self": (0.168, 0.192, 0.891),
    },
    "table 10, tracks in space": {
        "+ 3D tracking": (49.8, 65.7, 83.4),
        "+ L_cons": (57.4, 70.1, 84.1),
        "+ L_cam": (59.1, 72.3, 85.0),
        "+ L_self": (59.5, 72.5, 85.1),
    },
}


def main(
    out: Annotated[Path, typer.Option(help="Where data, weights and results go: the folder of self_supervision.py.")] = Path(
        "out/self_supervision"
    ),
    seeds: Annotated[int, typer.Option(help="Each with pools of clips of its own.")] = 5,
    base_steps: Annotated[int, typer.Option(help="As self_supervision.py had it, where its bases are there.")] = 1500,
    base_rate: Annotated[float, typer.Option(help="Likewise.")] = 1e-3,
    steps: Annotated[int, typer.Option(help="Of an arm.")] = 400,
    rate: Annotated[float, typer.Option(help="Highest learning rate of an arm.")] = 5e-4,
    share: Annotated[float, typer.Option(help="Of the clips, for a try.")] = 1.0,
    side_by_side: Annotated[int, typer.Option(help="Trainings at a time, each on one thread.")] = 2,
) -> None:
    """Print one JSON, and write it to OUT."""
    plan = Plan(
        out=out.absolute(),
        seeds=seeds,
        pixel_seeds=0,
        base_steps=base_steps,
        tracker_steps=0,
        steps=0,
        whole_steps=steps,
        base_rate=base_rate,
        rate=rate,
        share=share,
    )
    make_data(plan, side_by_side, shared=("test",))
    with ProcessPoolExecutor(side_by_side, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(train_one_base, [plan] * seeds, range(seeds), [True] * seeds))
        rows = [(seed, name) for name in ROWS for seed in range(seeds)]
        scores = dict(zip(rows, pool.map(scores_of, [plan] * len(rows), *zip(*rows, strict=True)), strict=True))
    result = {
        "what": "a tiny TrajVG, its losses added one after the other; differences are arm less the one before it, on the same clips",
        "plan": {name: value for name, value in asdict(plan).items() if name != "out"},
        "clips": len(plan.windows("test")),
        **{table: rows_of(table, range(seeds), scores) for table in TABLES},
        "machine": machine(),
    }
    (plan.out / "loss_ablation.json").write_text(json.dumps(result, indent=1, ensure_ascii=False))
    typer.echo(json.dumps(result, indent=1, ensure_ascii=False))


def scores_of(plan: Plan, seed: int, name: str) -> list[dict[str, float]]:
    """Values of a row on the test clips; its network goes on from the base, or is the base."""
    file = plan.file(seed, f"ablation {ROWS.index(name)}")
    if not file.exists():
        model, losses = FlowTrajVG.of_base(plan.file(seed, base_name(given=True))), ARMS[LAST] if name == CONTROL else ARMS.get(name)
        if losses is not None:
            arm = Arm(tracks="shuffled" if name == CONTROL else "audited")
            train_whole(model, arm, plan.pools(seed), losses, seed=seed, steps=plan.whole_steps, rate=plan.rate)
        save(measure(model, plan.windows("test"), tracks=losses is None or losses.needs_tracks), file)
    values: list[dict[str, float]] = torch.load(file, weights_only=False)
    return values


def measure(model: PixelTrajVG, clips: Sequence[Window], *, tracks: bool) -> list[dict[str, float]]:
    """Values of every clip."""
    model.eval()
    result = []
    for window in clips:
        images, queries = images_of([window], model), batch([window.labelled]).query_points
        with torch.no_grad():
            output = model(images, queries) if tracks else model.geometry(images).output
        result.append({**point_values(output, window), **(track_values(output, window) if tracks else {})})
    return result


def point_values(output: ModelOutput, window: Window) -> dict[str, float]:
    """Of the point maps in one world, after a similarity on all known pixels; without ICP, which would undo what cameras get wrong."""
    truth = batch([window.labelled]).truth()
    true = transform_points(truth.camera_to_world[0], truth.local_points[0].flatten(1, 2)).unflatten(1, SIZE)
    metrics = point_map_metrics(output.points[0].double().numpy(), true.double().numpy(), mask=truth.valid[0].numpy(), icp_distance=None)
    return {name: getattr(metrics, name).mean for name in TABLES["table 8, point maps"]}


def track_values(output: ModelOutput, window: Window) -> dict[str, float]:
    """TAPVid-3D's AJ, APD and OA in percent: in camera frames, after its median scaling."""
    told = batch([window.labelled])
    truth = told.truth()
    assert told.tracks3d_world is not None, "measured clips have truth"
    assert told.track_valid is not None, "measured clips have truth"
    assert told.visibility is not None, "measured clips have truth"
    assert output.traj3d_camera is not None, "the network tracked"
    assert output.visibility is not None, "the network tracked"
    assert truth.intrinsics is not None, "measured clips have truth"
    asked = told.observations.frame_weights[0, 0] > 0
    known = told.track_valid[0, :, asked]
    true = transform_points(invert_rigid(truth.camera_to_world[0]), told.tracks3d_world[0, :, asked])
    intrinsics = truth.intrinsics[0].double().numpy()
    metrics = tapvid3d_metrics(
        Tracks3d(
            positions=torch.where(known[..., None], true, 0).numpy(),
            visible=(told.visibility[0, :, asked] & known).numpy(),
            valid=known.numpy(),
        ),
        Tracks3d(positions=output.traj3d_camera[-1][0, :, asked].numpy(), visible=(output.visibility[0, :, asked] > 0.5).numpy()),
        focal_px=evaluation_focal(intrinsics[:, 0, 0], intrinsics[:, 1, 1], height=SIZE[0], width=SIZE[1]),
    )
    found = (metrics.average_jaccard, metrics.average_pts_within_thresh, metrics.occlusion_accuracy)
    return {name: 100 * float(value) for name, value in zip(TABLES["table 10, tracks in space"], found, strict=True)}


def rows_of(table: str, seeds: Sequence[int], scores: Mapping[tuple[int, str], Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    """Of all that have these values: a mean per seed, the difference from the row before it, or L_self's control, and the paper's row."""
    measures = TABLES[table]

    def values(name: str, part: str) -> np.ndarray:
        return np.array([[clip[part] for clip in scores[seed, name]] for seed in seeds])

    def against(base: str, name: str) -> dict[str, Any]:
        return {title: difference(values(base, part), values(name, part)) for part, title in measures.items()}

    names = [name for name in (BASE, *ARMS) if next(iter(measures)) in scores[seeds[0], name][0]]
    rows: dict[str, Any] = {
        name: {title: np.nanmean(values(name, part), axis=1).round(5).tolist() for part, title in measures.items()}
        for name in (*names, CONTROL)
    }
    for before, name in pairwise(names):
        rows[name]["less_the_one_before"] = against(before, name)
    rows[LAST]["less_its_control"] = against(CONTROL, LAST)
    for name, figures in PAPER[table].items():
        rows[name]["paper"] = dict(zip(measures.values(), figures, strict=True))
    return rows


if __name__ == "__main__":
    typer.run(main)
