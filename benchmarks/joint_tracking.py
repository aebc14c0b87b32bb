"""Track4World's joint loss in miniature: what 2D supervision, lifting, iterations and wild 2D tracks give a tiny decoder; with controls.

The decoder stands on the truth's geometry, so that geometry is not the limit. All arms see as many clips in as many steps; differences are
taken on the same held-out clips. Its 2D flow is also chained into tracks, beside dis-flow. Run again, it goes on where it stopped.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from experiments import difference, job, save, whole_clips
from joint_tracking_runs import (
    ARMS,
    NOISE,
    SIZE,
    measure,
    new_model,
    stand_still,
    track_values,
    track_with_decoder,
    track_with_dis_flow,
    train,
    true_clips,
    wild_clips,
)
from material import machine

from networks.track4world.network import Track4World
from pipeline.labels import list_label_sets
from pipeline.records import ClipFrames, TrackLabels

CLIPS = {  # name: domain, clips, seed, (height, width)
    "studio": ("studio", 256, 7602, (96, 192)),
    "wild": ("wild", 96, 7402, (160, 320)),
    "held": ("studio", 24, 8601, (96, 192)),
    "other": ("wild", 32, 8402, (160, 320)),
    "planes": ("planes", 16, 8502, (160, 320)),
}
MEASURED = ("held", "other")  # by pairs of frames
TRACKED = ("other", "planes")  # through whole clips
PAIRS = (  # first less second
    ("without 2D supervision", "full"),
    ("without target lifting", "full"),
    ("one iteration", "full"),
    ("with wild", "full"),
    ("with wild, shuffled tracks", "full"),
    ("with wild, true tracks", "full"),
    ("with wild", "with wild, shuffled tracks"),
)
Run = Mapping[str, Sequence[Mapping[str, float]]]  # values of every clip, by dataset
PARTS = ("all", "visible", "occluded")
COMPARED = tuple(f"{name} {part}" for name in ("EPE2D", "EPE3D pure 3D", "EPE3D hybrid") for part in PARTS)
DEPTHS = {"": 0.0, f", depth {NOISE:.0%} off": NOISE}
CHAINED = ("full", "with wild")
SAME_PIXELS = f"dis-flow on {SIZE[1]} x {SIZE[0]}"
UNTRAINED: Mapping[str, tuple[Callable[[ClipFrames], TrackLabels], tuple[int, int] | None]] = {
    SAME_PIXELS: (track_with_dis_flow, SIZE),
    "dis-flow on frames as stored": (track_with_dis_flow, None),
    "standing still": (stand_still, SIZE),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is compared."""

    out: Path
    seeds: int
    steps: int

    def root(self, name: str) -> Path:
        """A dataset of CLIPS."""
        return self.out / "data" / name

    @property
    def audit(self) -> str:
        """The wild clips' label set, which has an audit."""
        (found,) = list_label_sets(str(self.root("wild")))
        return found

    def file(self, seed: int, name: str) -> Path:
        """Of one arm's weights, or of scores."""
        return self.out / f"seed{seed}" / f"{name}.pt"


def main(
    out: Annotated[Path, typer.Option(help="Where data, weights and results go.")] = Path("out/joint_tracking"),
    seeds: Annotated[int, typer.Option(help="Of weights and orders.")] = 3,
    steps: Annotated[int, typer.Option(help="Of every arm, four pairs of frames each.")] = 1200,
    side_by_side: Annotated[int, typer.Option(help="Trainings at a time, each on one thread.")] = 2,
) -> None:
    """Print one JSON, and write it to OUT."""
    plan = Plan(out=out.absolute(), seeds=seeds, steps=steps)
    with ThreadPoolExecutor(side_by_side) as threads:
        list(threads.map(lambda name: make_dataset(plan, name), CLIPS))
    runs, untrained = [(seed, arm) for seed in range(seeds) for arm in ARMS], [(0, name) for name in UNTRAINED]
    with ProcessPoolExecutor(side_by_side, initializer=one_thread) as pool:
        list(pool.map(train_arm, [plan] * len(runs), *zip(*runs, strict=True)))
        found = pool.map(scores_of, [plan] * len(runs), *zip(*runs, strict=True))
        scores = by_name(runs, found)
        tracked = [(seed, name) for seed, name in runs if name in CHAINED] + untrained
        tracks = by_name(tracked, pool.map(tracks_of, [plan] * len(tracked), *zip(*tracked, strict=True)))
    datasets = [f"{dataset}{title}" for dataset in MEASURED for title in DEPTHS]
    result = {
        "what": "a tiny Track4World decoder over true geometry; differences are paired, first less second, errors in pixels and metres",
        "plan": {name: value for name, value in asdict(plan).items() if name != "out"},
        "clips": {name: count for name, (_, count, _, _) in CLIPS.items()}
        | {"wild, kept": len(wild_clips(plan.root("wild"), plan.audit, "audited"))},
        "means": {dataset: {arm: means(found, dataset) for arm, found in scores.items()} for dataset in datasets},
        "differences": {
            dataset: {
                f"{first} - {second}": {
                    name: difference(values_of(scores[second], dataset, name), values_of(scores[first], dataset, name)) for name in COMPARED
                }
                for first, second in PAIRS
            }
            for dataset in MEASURED
        },
        "endpoints of full": {dataset: endpoint_differences(scores["full"], dataset) for dataset in datasets},
        "tracks": {dataset: {name: means(found, dataset) for name, found in tracks.items()} for dataset in TRACKED},
        "tracks less dis-flow of as many pixels": {
            dataset: {
                name: {
                    measured: difference(
                        repeated(tracks[SAME_PIXELS], dataset, measured, seeds), values_of(tracks[name], dataset, measured)
                    )
                    for measured in ("AJ", "delta_avg", "OA")
                }
                for name in CHAINED
            }
            for dataset in TRACKED
        },
        "machine": machine(),
    }
    (plan.out / "result.json").write_text(json.dumps(result, indent=1))
    typer.echo(json.dumps(result, indent=1))


def by_name(runs: Sequence[tuple[int, str]], found: Iterable[Run]) -> dict[str, list[Run]]:
    """Values of the seeds of every arm, in the order of seeds."""
    result: dict[str, list[Run]] = {}
    for (_, name), values in zip(runs, found, strict=True):
        result.setdefault(name, []).append(values)
    return result


def repeated(runs: Sequence[Run], dataset: str, measured: str, seeds: int) -> np.ndarray:
    """One measure of what has no seeds, "seeds clips"."""
    return np.repeat(values_of(runs, dataset, measured), seeds, axis=0)


def one_thread() -> None:
    """Of every process of the pool."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def make_dataset(plan: Plan, name: str) -> None:
    """Render one dataset of CLIPS; the wild ones to train on are labelled and audited."""
    done = plan.root(name) / "made"
    if done.exists():
        return
    domain, count, seed, (height, width) = CLIPS[name]
    root = plan.root(name)
    shape = ("--clip-frames", 24, "--height", height, "--width", width, "--queries", 1024, "--split-shares", "train=1")
    job("synthesize.py", "--root", root, "--domain", domain, "--num-clips", count, "--seed", seed, "--clips-per-shard", 16, *shape)
    if name == "wild":
        job("pseudolabel.py", "--root", root, "--labeler", "dis-flow", "--queries", 1024, "--query-frames", 3)
        job("audit.py", "run", "--root", root, "--labels", plan.audit, "--no-gate")
    done.touch()


def train_arm(plan: Plan, seed: int, name: str) -> None:
    """From random weights, which are the seed's."""
    file, arm = plan.file(seed, name), ARMS[name]
    if file.exists():
        return
    wild = wild_clips(plan.root("wild"), plan.audit, arm.wild) if arm.wild else []
    model = new_model(seed, arm)
    history = train(model, arm, true_clips(plan.root("studio")), wild, seed=seed, steps=plan.steps)
    save({"weights": model.state_dict(), "loss": history}, file)


def scores_of(plan: Plan, seed: int, name: str) -> dict[str, list[dict[str, float]]]:
    """Values of every clip, by dataset, over true depth and over depth with an error."""
    file = plan.file(seed, f"scores of {name}")
    if not file.exists():
        model = restored(plan, seed, name)
        found = {
            f"{dataset}{title}": measure(model, ARMS[name], true_clips(plan.root(dataset)), noise=noise)
            for dataset in MEASURED
            for title, noise in DEPTHS.items()
        }
        save(found, file)
    scores: dict[str, list[dict[str, float]]] = torch.load(file, weights_only=False)
    return scores


def tracks_of(plan: Plan, seed: int, name: str) -> dict[str, list[dict[str, float]]]:
    """Tracks through whole clips by a decoder, or by what needs no training (seed 0 alone): values of every clip, by dataset."""
    file = plan.file(seed, f"tracks of {name}")
    if not file.exists():
        if name in UNTRAINED:
            track, size = UNTRAINED[name]
        else:
            track, size = partial(track_with_decoder, restored(plan, seed, name), ARMS[name].iterations), SIZE
        values = {dataset: [track_values(track, clip, size) for clip in whole_clips(plan.root(dataset))] for dataset in TRACKED}
        save(values, file)
    found: dict[str, list[dict[str, float]]] = torch.load(file, weights_only=False)
    return found


def restored(plan: Plan, seed: int, name: str) -> Track4World:
    """A model with stored weights."""
    model = new_model(seed, ARMS[name])
    model.load_state_dict(torch.load(plan.file(seed, name), weights_only=False)["weights"])
    return model


def values_of(runs: Sequence[Run], dataset: str, measure_name: str) -> np.ndarray:
    """One measure, "seeds clips"."""
    return np.array([[clip[measure_name] for clip in run[dataset]] for run in runs])


def means(runs: Sequence[Run], dataset: str) -> dict[str, list[float]]:
    """Of every measure, by seed."""
    names = runs[0][dataset][0]
    return {name: np.nanmean(values_of(runs, dataset, name), axis=1).round(4).tolist() for name in names}


def endpoint_differences(runs: Sequence[Run], dataset: str) -> dict[str, Any]:
    """Both other ways to a point's place in space, less the hybrid one, by what is seen of the point."""
    return {
        f"{name} - hybrid, {part}": difference(
            values_of(runs, dataset, f"EPE3D hybrid {part}"), values_of(runs, dataset, f"EPE3D {name} {part}")
        )
        for name in ("pure 3D", "2D flow and depth there")
        for part in PARTS
    }


if __name__ == "__main__":
    typer.run(main)
