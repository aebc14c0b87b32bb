"""Adaptation without 4D labels, measured: a tiny St4RTrack, taught on `studio`, adapts to pseudo tracks and depth of `wild`; with controls.

Stand-ins, since no pretrained weights are at hand: the images of a pair carry points of inverse depth (3 % smooth error, a guessed focal
length) and DIS flow, and the network begins by copying those points; depth labels are the truth times a random unit per frame times a
smooth 8 % error. Everything else is the project's: tracks and audit by its jobs, losses and PnP by trainer/families/st4rtrack. Run again,
it goes on where it stopped.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from adaptation_clips import NUM_TRACKS, SIZE, Window, windows
from adaptation_runs import ARMS, FULL, Tuning, adapt, copying_start, measure, new_model, train_base
from experiments import difference, job, save
from material import machine

from networks.st4rtrack.network import DUSt3R
from pipeline.labels import list_label_sets, read_label_set
from trainer.families.st4rtrack.settings import AdaptationWeights

CLIPS = {  # name: domain, clips, seed
    "studio": ("studio", 384, 7501),
    "held": ("studio", 32, 8501),
    "adapted": ("wild", 32, 7401),
    "chosen": ("wild", 16, 9401),  # rate and weights of the adaptation are chosen on them
    "other": ("wild", 32, 8401),
}
RENDERED = {"studio": (128, 160), "wild": (256, 320)}
LABELLED = ("adapted", "chosen")
MEASURES = {
    "epe_dynamic": "EPE of moving points, m",
    "epe_over_displacement": "EPE over displacement, moving points",
    "apd_dynamic": "APD of moving points",
    "epe_all": "EPE of all points, m",
    "apd_all": "APD of all points",
    "camera_error": "place of cameras over distance moved",
    "points_relative": "error of head 2's points over distance",
}
TUNINGS = {  # the published weights, and the trajectory's for pixels of the size that they were published for (512 to a side)
    f"rate {rate:g}, trajectory {trajectory:g}, depth {depth:g}": Tuning(
        rate=rate, weights=AdaptationWeights(trajectory=trajectory, depth=depth)
    )
    for rate in (1e-5, 3e-5, 1e-4)
    for trajectory in (0.5, 0.5 * 512 / SIZE[1])
    for depth in (10.0, 2.0)
}
BASES = {"reweighted": True, "plain": False}  # whether moving pixels count more
BASE = "reweighted"  # that the arms begin from


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is compared."""

    out: Path
    seeds: int
    base_steps: int
    steps: int  # of an arm
    base_rate: float

    def root(self, name: str) -> Path:
        """A dataset of CLIPS."""
        return self.out / "data" / name

    def windows(self, name: str) -> list[Window]:
        """Its clips, prepared once."""
        found: list[Window] = torch.load(self.out / "windows" / f"{name}.pt", weights_only=False)
        return found

    def weights(self, seed: int, name: str) -> Path:
        """Of a base or an arm."""
        return self.out / f"seed{seed}" / f"{name}.pt"


def main(
    out: Annotated[Path, typer.Option(help="Where data, weights and results go.")] = Path("out/adaptation"),
    seeds: Annotated[int, typer.Option(help="Of weights and orders.")] = 3,
    base_steps: Annotated[int, typer.Option(help="Of each base: with moving pixels reweighted, and not.")] = 2000,
    steps: Annotated[int, typer.Option(help="Of an arm, one clip of 8 frames each.")] = 160,
    base_rate: Annotated[float, typer.Option(help="Highest learning rate of a base.")] = 3e-4,
    side_by_side: Annotated[int, typer.Option(help="Trainings at a time, each on one thread.")] = 2,
) -> None:
    """Print one JSON, and write it to OUT."""
    plan = Plan(out=out.absolute(), seeds=seeds, base_steps=base_steps, steps=steps, base_rate=base_rate)
    make_data(plan, side_by_side)
    chosen = range(seeds)
    with ProcessPoolExecutor(side_by_side, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        bases = [(seed, base) for seed in chosen for base in BASES]
        list(pool.map(train_one_base, [plan] * len(bases), *zip(*bases, strict=True)))
        list(pool.map(try_tuning, [plan] * len(TUNINGS), TUNINGS))
        tried = {name: error_of(plan, name) for name in TUNINGS}
        best = min(tried, key=lambda name: tried[name])
        arms = [(seed, arm) for arm in ARMS for seed in chosen]
        list(pool.map(train_arm, [plan] * len(arms), *zip(*arms, strict=True), [TUNINGS[best]] * len(arms)))
        measured = [(seed, name) for seed in chosen for name in (*BASES, *ARMS)]
        scores = dict(zip(measured, pool.map(scores_of, [plan] * len(measured), *zip(*measured, strict=True)), strict=True))
    result = {
        "what": "a tiny St4RTrack adapted to wild clips; differences are arm less doing nothing, on the same clips",
        "plan": {name: value for name, value in asdict(plan).items() if name != "out"},
        "tuning": best,
        "epe_dynamic_of_tunings": tried,
        "clips": {name: len(plan.windows(name)) for name in CLIPS},
        **summary(plan, scores),
        "machine": machine(),
    }
    (plan.out / "result.json").write_text(json.dumps(result, indent=1))
    typer.echo(json.dumps(result, indent=1))


def make_data(plan: Plan, side_by_side: int) -> None:
    """Render, label, audit, prepare."""
    with ThreadPoolExecutor(side_by_side) as pool:
        list(pool.map(lambda name: make_dataset(plan, name), CLIPS))


def make_dataset(plan: Plan, name: str) -> None:
    """One dataset of CLIPS, and the file of its windows."""
    file = plan.out / "windows" / f"{name}.pt"
    if file.exists():
        return
    domain, count, seed = CLIPS[name]
    root, size = plan.root(name), RENDERED[domain]
    shape = ("--clip-frames", 24, "--height", size[0], "--width", size[1], "--queries", 4096, "--split-shares", "train=1")
    job("synthesize.py", "--root", root, "--domain", domain, "--num-clips", count, "--seed", seed, "--clips-per-shard", 16, *shape)
    sets: dict[str, str] = {}
    if name in LABELLED:
        job("pseudolabel.py", "--root", root, "--labeler", "dis-flow", "--queries", NUM_TRACKS, "--query-frames", 1)
        job("pseudolabel.py", "--root", root, "--labeler", "adaptation_clips:oracle_depth", "--option", f"root={root}")
        kinds = {read_label_set(str(root), found).kind: found for found in list_label_sets(str(root))}
        job("audit.py", "run", "--root", root, "--labels", kinds["tracks"], "--no-gate")
        sets = {"audit": kinds["tracks"], "depth_labels": kinds["depth"]}
    save(windows(root, **sets), file)


def train_one_base(plan: Plan, seed: int, base: str) -> None:
    """On `studio`, with truth."""
    if not plan.weights(seed, base).exists():
        model = new_model(seed)
        copying_start(model)
        history = train_base(model, plan.windows("studio"), seed=seed, steps=plan.base_steps, rate=plan.base_rate, reweight=BASES[base])
        save({"weights": model.state_dict(), "loss": history}, plan.weights(seed, base))


def try_tuning(plan: Plan, name: str) -> None:
    """Adapt the first seed to the clips that are used for nothing else."""
    if not plan.weights(0, name).exists():
        model, clips = restored(plan, 0, BASE), with_labels(plan.windows("chosen"))
        history = adapt(model, FULL, clips, TUNINGS[name], seed=0, steps=plan.steps)
        save({"loss": history, "values": measure(model, clips)}, plan.weights(0, name))


def error_of(plan: Plan, name: str) -> float:
    """Of moving points after `try_tuning`."""
    values = torch.load(plan.weights(0, name), weights_only=False)["values"]
    return float(np.nanmean([clip["epe_dynamic"] for clip in values]))


def train_arm(plan: Plan, seed: int, arm: str, tuning: Tuning) -> None:
    """From the base."""
    if not plan.weights(seed, arm).exists():
        model = restored(plan, seed, BASE)
        history = adapt(model, ARMS[arm], with_labels(plan.windows("adapted")), tuning, seed=seed, steps=plan.steps)
        save({"weights": model.state_dict(), "loss": history}, plan.weights(seed, arm))


def scores_of(plan: Plan, seed: int, name: str) -> dict[str, list[dict[str, float]]]:
    """Values of every clip, by dataset."""
    file = plan.weights(seed, f"scores of {name}")
    if not file.exists():
        model = restored(plan, seed, name)
        sets = {"adapted": with_labels(plan.windows("adapted")), "other": plan.windows("other")}
        if name in BASES:
            sets["held"] = plan.windows("held")
        save({dataset: measure(model, clips) for dataset, clips in sets.items()}, file)
    found: dict[str, list[dict[str, float]]] = torch.load(file, weights_only=False)
    return found


def summary(plan: Plan, scores: Mapping[tuple[int, str], Mapping[str, Sequence[Mapping[str, float]]]]) -> dict[str, Any]:
    """Means, and paired differences: each arm against doing nothing, the full one against its controls, and the two bases."""
    seeds = range(plan.seeds)

    def values(name: str, dataset: str, measure_name: str) -> np.ndarray:
        return np.array([[clip[measure_name] for clip in scores[seed, name][dataset]] for seed in seeds])

    def against(first: str, second: str, dataset: str) -> dict[str, Any]:
        return {name: difference(values(first, dataset, name), values(second, dataset, name)) for name in MEASURES}

    def averages(name: str, dataset: str, prefix: str = "") -> dict[str, list[float]]:
        present = scores[0, name][dataset][0]
        return {
            part: [round(float(mean), 5) for mean in np.nanmean(values(name, dataset, prefix + part), axis=1)]
            for part in MEASURES
            if prefix + part in present
        }

    before_fork = {
        dataset: {"base": averages(BASE, dataset), "standing still": averages(BASE, dataset, "still_")}
        for dataset in ("held", "adapted", "other")
    }
    return {
        "before_the_fork": before_fork,
        "reweighting": {dataset: against("plain", "reweighted", dataset) for dataset in ("held", "other")},
        "arms": {
            dataset: {arm: {"means": averages(arm, dataset), "less_nothing": against(BASE, arm, dataset)} for arm in ARMS}
            for dataset in ("adapted", "other")
        },
        "full_less_control": {
            dataset: {control: against(control, "full", dataset) for control in ("shuffled tracks", "shuffled depth", "true tracks")}
            for dataset in ("adapted", "other")
        },
    }


def restored(plan: Plan, seed: int, name: str) -> DUSt3R:
    """A model with stored weights."""
    model = new_model(seed)
    model.load_state_dict(torch.load(plan.weights(seed, name), weights_only=False)["weights"])
    return model


def with_labels(clips: Sequence[Window]) -> list[Window]:
    """Those that the audit left tracks of."""
    return [clip for clip in clips if clip.pseudo is not None]


if __name__ == "__main__":
    typer.run(main)
