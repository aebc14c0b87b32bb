"""Does a small network on the jump chain beat the chain? A training of a fixed budget on rendered clips, its curve, and a gate.

It learns from `studio` and `planes` through a virtual camera and degradations, on windows of 24 and 48 frames, in two processes that
take every step together. Then it is compared with dis-flow with jumps on `wild` clips of 48 frames that are kept for this gate. It passes
if its AJ is above that of jumps with the strain limit, with an interval off zero. Run again, it goes on where it stopped.
"""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import typer
from experiments import hold_to_plan, job, save
from labeler_table import one_thread
from material import machine
from refiner_clips import Cut, Window, clips_with_truth, keep_windows, measured_window
from refiner_training import (
    RATE,
    WEIGHTS,
    Found,
    Keeping,
    best_threshold,
    chain_labels,
    cpu_seconds,
    find,
    inputs,
    load_windows,
    measures,
    new_model,
    train,
    true_target,
    window_loss,
    write_weights,
)

from networks.chain_refiner import COARSE, ChainRefiner
from networks.weights import TrainingSource
from trainer.evaluation import paired_difference

TRAINED = {"studio": ("studio", 160, 8811), "planes": ("planes", 160, 8812)}  # name: domain, clips, seed
WATCHED = {"watched studio": ("studio", 8, 8821), "watched planes": ("planes", 8, 8822)}
GATE = {"wild": ("wild", 24, 8831)}
CLIPS = {**TRAINED, **WATCHED, **GATE}
FRAMES, POINTS = 48, 256
CUTS = (Cut(frames=48), Cut(frames=24, stride=2), Cut(frames=24))
LENGTHS = tuple(sorted({cut.frames for cut in CUTS}))
STRAIN_LIMIT = 0.2  # of labeler_table.py
TIMED_STEPS = 3  # of each length, after one that warms up
CURVE = 16  # points of the curve
CURVE_THRESHOLD = 0.25  # of its measures
MEASURES = ("AJ", "delta_avg", "OA", "survival")
Values = list[dict[str, float]]  # of every clip


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is trained and measured."""

    out: Path
    cpu_minutes: float
    steps: int | None
    height: int
    width: int
    share: float
    seed: int
    processes: int

    def root(self, name: str) -> Path:
        """A dataset of CLIPS."""
        return self.out / "data" / name.replace(" ", "_")

    def windows(self, name: str) -> Path:
        """Its windows."""
        return self.out / "windows" / name.replace(" ", "_")

    def count(self, name: str) -> int:
        """Of its clips."""
        return max(2, round(CLIPS[name][1] * self.share))

    @property
    def state(self) -> Path:
        """Of the training."""
        return self.out / "training.pt"

    @property
    def weights(self) -> Path:
        """That it ends with, as refined-flow reads them."""
        return self.out / "chain_refiner.safetensors"


def main(
    out: Annotated[Path, typer.Option(help="Where clips, windows, weights, curve and result go.")] = Path("out/refiner_gate"),
    cpu_minutes: Annotated[float, typer.Option(help="CPU time that each process may train for; steps are timed to fit.")] = 60.0,
    steps: Annotated[int | None, typer.Option(help="Of training, in place of what the time allows.", show_default="timed")] = None,
    size: Annotated[str, typer.Option(help="Of the clips, HEIGHTxWIDTH, multiples of 8.")] = "192x256",
    share: Annotated[float, typer.Option(help="Of the clips, for a try.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of weights and orders.")] = 0,
    processes: Annotated[int, typer.Option(help="That take each step together, one window each, on one thread each.")] = 2,
) -> None:
    """Print one JSON, and write it to OUT."""
    height, width = map(int, size.split("x"))
    plan = Plan(
        out=out.absolute(), cpu_minutes=cpu_minutes, steps=steps, height=height, width=width, share=share, seed=seed, processes=processes
    )
    hold_to_lessons(plan)
    hold_to_plan(plan.out / "plan.json", {name: value for name, value in asdict(plan).items() if name != "out"})
    with ThreadPoolExecutor(processes) as threads:
        list(threads.map(partial(make_dataset, plan), CLIPS))
    with ProcessPoolExecutor(processes, initializer=one_thread, mp_context=mp.get_context("spawn")) as pool:
        counts = dict(zip(CLIPS, pool.map(make_windows, [plan] * len(CLIPS), CLIPS), strict=True))
        number = number_of_steps(plan, lambda: [each.result() for each in [pool.submit(timed_steps, plan) for _ in range(processes)]])
    mp.spawn(train_in_step, (plan, number), nprocs=processes)
    with ProcessPoolExecutor(processes, initializer=one_thread, mp_context=mp.get_context("spawn")) as pool:
        threshold = pool.submit(choose_threshold, plan).result()
        found = {name: future.result() for name, future in {n: pool.submit(compare, plan, n, threshold) for n in (*WATCHED, *GATE)}.items()}
    differences = {base: paired(found["wild"][base], found["wild"]["refiner"]) for base in ("jumps", "jumps, limit")}
    result = {
        "what": f"a refiner of chains against the chains, {width} x {height}, {FRAMES} frames, up to {POINTS} points; percent",
        "plan": {name: value for name, value in asdict(plan).items() if name != "out"},
        "parameters": sum(part.numel() for part in new_model(seed).parameters()),
        "steps": number,
        "windows": counts,
        "threshold": threshold,
        "curve": [json.loads(file.read_text()) for file in sorted((plan.out / "curve").glob("*.json"))],
        "means": {name: {arm: means(values) for arm, values in arms.items()} for name, arms in found.items()},
        "refiner less": differences,
        "passes": differences["jumps, limit"]["AJ"]["low"] > 0,
        "machine": machine(),
    }
    write_weights(trained(plan), plan.weights, sources_of(plan))
    (plan.out / "result.json").write_text(json.dumps(result, indent=1))
    typer.echo(json.dumps(result, indent=1))


def hold_to_lessons(plan: Plan) -> None:
    """What the labelled windows are made of; teacher_loop.py uses them too. Raises: typer.BadParameter."""
    if plan.height % COARSE or plan.width % COARSE:
        raise typer.BadParameter(f"--size {plan.height}x{plan.width}: sides must be multiples of {COARSE}")
    hold_to_plan(plan.out / "lessons.json", {"height": plan.height, "width": plan.width, "share": plan.share})


def make_dataset(plan: Plan, name: str) -> None:
    """Render one dataset of CLIPS, where it is not there."""
    domain, _, seed = CLIPS[name]
    shape = ("--clip-frames", FRAMES, "--height", plan.height, "--width", plan.width, "--queries", 2 * POINTS)
    number = ("--num-clips", plan.count(name), "--seed", seed, "--clips-per-shard", 8, "--split-shares", "train=1")
    job("synthesize.py", "--root", plan.root(name), "--domain", domain, *number, *shape)


def make_windows(plan: Plan, name: str) -> int:
    """Those of one dataset, where they are not there; returns their number."""
    folder = plan.windows(name)
    if name in TRAINED:
        made = folder / "made"
        if not made.exists():
            made.parent.mkdir(parents=True, exist_ok=True)
            made.write_text(str(keep_windows(plan.root(name), CUTS, folder, points=POINTS, seed=CLIPS[name][2])))
        return int(made.read_text())
    for number, clip in enumerate(clips_with_truth(plan.root(name))):
        if not (file := folder / f"{number:04d}.pt").exists():
            save([measured_window(clip, FRAMES, POINTS)], file)
    return len(load_windows(folder))


class Lessons:
    """Windows to train on, by length; the loss of a step on one of them."""

    def __init__(self, plan: Plan, rank: int) -> None:
        windows = [window for name in TRAINED for window in load_windows(plan.windows(name)) if len(window.chosen) >= 8]
        self._windows = {frames: [window for window in windows if len(window.frames) == frames] for frames in LENGTHS}
        self._seed, self._rank = plan.seed, rank

    def loss(self, model: ChainRefiner, number: int, frames: int | None = None) -> torch.Tensor:
        """Of a step: windows of all processes are of one length, so that none waits for another."""
        length = frames or int(np.random.default_rng([self._seed, number]).choice(LENGTHS))
        draw = np.random.default_rng([self._seed, number, self._rank])
        window = self._windows[length][int(draw.integers(len(self._windows[length])))]
        return window_loss(model, window, true_target(window.truth), draw, WEIGHTS)


def number_of_steps(plan: Plan, timings: Callable[[], list[dict[int, float]]]) -> int:
    """What was asked for, or what fits into the time: timed once, and kept, so that a training that goes on has as many.

    Args:
        timings: CPU seconds of a step by frames, of all processes side by side, as they are in training.
    """
    if plan.steps is not None:
        return plan.steps
    file = plan.out / "steps.json"
    if not file.exists():
        found = timings()
        seconds = {frames: float(np.mean([each[frames] for each in found])) for frames in LENGTHS}
        number = max(CURVE, int(60 * plan.cpu_minutes / float(np.mean(list(seconds.values())))))
        file.write_text(json.dumps({"steps": number, "cpu_s_of_a_step_by_frames": seconds}))
    return int(json.loads(file.read_text())["steps"])


def timed_steps(plan: Plan) -> dict[int, float]:
    """CPU seconds of a step, forward and backward, by frames."""
    lessons, model = Lessons(plan, 0), new_model(plan.seed)

    def steps(frames: int, count: int) -> None:
        for _ in range(count):
            lessons.loss(model, 0, frames).backward()

    result = {}
    for frames in LENGTHS:
        steps(frames, 1)
        result[frames] = cpu_seconds(partial(steps, frames, TIMED_STEPS)) / TIMED_STEPS
    return result


def train_in_step(rank: int, plan: Plan, steps: int) -> None:
    """One process of the training: equal numbers of processes and steps give equal weights."""
    one_thread()
    meeting = plan.out / f"meeting_{os.getppid()}"
    dist.init_process_group("gloo", init_method=meeting.as_uri(), rank=rank, world_size=plan.processes)
    try:
        lessons, model = Lessons(plan, rank), new_model(plan.seed)
        watched = [(name, load_windows(plan.windows(name))) for place, name in enumerate(WATCHED) if place % plan.processes == rank]
        keeping = Keeping(file=plan.state, every=max(1, -(-steps // CURVE)), writes=rank == 0)
        watch = partial(watch_together, plan, model, watched)
        train(model, partial(lessons.loss, model), steps=steps, rate=RATE, keeping=keeping, reduce=average_gradients, at=watch)
        dist.barrier()
    finally:
        dist.destroy_process_group()
        if rank == 0:
            meeting.unlink(missing_ok=True)


def average_gradients(model: ChainRefiner) -> None:
    """Over the processes, in place."""
    parts = [part.grad for part in model.parameters() if part.grad is not None]
    flat = torch.cat([part.flatten() for part in parts])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for part, averaged in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
        part.copy_(averaged.view_as(part))


def watch_together(plan: Plan, model: ChainRefiner, watched: Sequence[tuple[str, list[Window]]], number: int, loss: float) -> None:
    """A point of the curve: measures of the clips that are watched, shared out among the processes."""
    mine = {name: means([refined(model, window, CURVE_THRESHOLD) for window in windows]) for name, windows in watched}
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, (mine, loss))
    if dist.get_rank() == 0:
        file = plan.out / "curve" / f"{number:07d}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        points = {name: values for found, _ in everyone for name, values in found.items()}
        file.write_text(json.dumps({"step": number, "loss": float(np.mean([each for _, each in everyone])), **points}))


def refined(model: ChainRefiner, window: Window, threshold: float) -> dict[str, float]:
    """Measures of the refiner's tracks of a window."""
    return measures(window, find(model, inputs(window)).labels(window.truth.queries, threshold))


def trained(plan: Plan) -> ChainRefiner:
    """The weights that training ended with."""
    model = new_model(plan.seed)
    model.load_state_dict(torch.load(plan.state, weights_only=False)["model"])
    return model


def choose_threshold(plan: Plan) -> float:
    """The one with the best AJ on the clips that are watched, none of them of the gate."""
    model = trained(plan)
    windows = [window for name in WATCHED for window in load_windows(plan.windows(name))]
    return best_threshold([find(model, inputs(window)) for window in windows], windows)


def compare(plan: Plan, name: str, threshold: float) -> dict[str, Values]:
    """Values of every clip of a dataset by the refiner and by the chains that it refines."""
    model, windows = trained(plan), load_windows(plan.windows(name))
    seconds: list[float] = []

    def timed(window: Window) -> Found:
        found: list[Found] = []
        seconds.append(cpu_seconds(lambda: found.append(find(model, inputs(window)))))
        return found[0]

    refiner = [measures(window, timed(window).labels(window.truth.queries, threshold)) for window in windows]
    return {
        "jumps": [measures(window, chain_labels(window, None)) for window in windows],
        "jumps, limit": [measures(window, chain_labels(window, STRAIN_LIMIT)) for window in windows],
        "refiner": [{**values, "cpu_s": spent} for values, spent in zip(refiner, seconds, strict=True)],
    }


def sources_of(plan: Plan) -> list[TrainingSource]:
    """What the windows to train on are made of, for the header of weights."""
    return [
        TrainingSource(dataset=f"synthetic-{domain}, seed {seed}, {plan.count(name)} clips") for name, (domain, _, seed) in TRAINED.items()
    ]


def means(values: Values) -> dict[str, float]:
    """Over clips."""
    return {name: round(float(np.nanmean([clip[name] for clip in values])), 2) for name in values[0]}


def paired(base: Values, other: Values) -> dict[str, dict[str, float]]:
    """Differences over clips, with intervals."""
    return {name: asdict(paired_difference([clip[name] for clip in base], [clip[name] for clip in other])) for name in MEASURES}


if __name__ == "__main__":
    typer.run(main)
