"""A closed teacher loop in miniature: label unlabelled `wild` clips, audit, tune a refiner on what is kept, label again with it.

Round 0 is dis-flow with jumps, by jobs/pseudolabel.py. Students see the clips through a virtual camera and degraded, and are told what
labels of the clips as they are say, moved along; every other step is a labelled window of `studio` or `planes`. They are measured on
other `wild` clips. Round 2 is told what the audited students of round 1 say, by the same jobs. Run again, it goes on where it stopped.
"""

import json
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import refiner_gate
import torch
import torch.multiprocessing as mp
import typer
from experiments import difference, hold_to_plan, job, save
from labeler_table import one_thread
from material import machine
from refiner_clips import Cut, Window, clips_with_truth, degraded_window, measured_window
from refiner_gate import STRAIN_LIMIT, TRAINED, WATCHED
from refiner_training import (
    RATE,
    WEIGHTS,
    Keeping,
    best_threshold,
    chain_labels,
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
from teacher_loop_labels import Told, audited, label_accuracy, label_set_of, target_of, tracks_of_labels, true_told, unaudited

from networks.chain_refiner import ChainRefiner
from networks.weights import TrainingSource, load_weights, read_weights
from pipeline.labels import read_labels
from trainer.evaluation import paired_difference

CLIPS = {"unlabelled": (96, 8841), "held": (48, 8842)}  # all wild: clips, seed
FRAMES, POINTS = 24, 256
DRAWS = 2  # windows of every unlabelled clip
TUNING_RATE = 2e-4
ROUND_1 = ("audited", "unaudited", "shuffled", "true")
ROUND_2 = "audited, round 2"
BASE = "base"
ARMS = (BASE, *ROUND_1, ROUND_2)
PAIRS = (  # first less second
    ("audited", BASE),
    ("audited", "unaudited"),
    ("audited", "shuffled"),
    ("unaudited", BASE),
    ("shuffled", BASE),
    ("true", BASE),
    (ROUND_2, "audited"),
)
MEASURES = ("AJ", "delta_avg", "OA")
FALLS = 4  # exit code of a comparison of audits that says no
Values = list[dict[str, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is compared."""

    out: Path
    gate: Path
    seeds: int
    base_steps: int
    steps: int
    height: int
    width: int
    share: float

    @property
    def lessons(self) -> refiner_gate.Plan:
        """Whose labelled clips and windows are used."""
        size = {"height": self.height, "width": self.width}
        return refiner_gate.Plan(out=self.gate, cpu_minutes=0.0, steps=None, share=self.share, seed=0, processes=1, **size)

    @property
    def size(self) -> tuple[int, int]:
        """Of the clips."""
        return self.height, self.width

    def root(self, name: str) -> Path:
        """A dataset of CLIPS."""
        return self.out / "data" / name

    def windows(self, name: str) -> Path:
        """Of unlabelled, shuffled, held or watched clips."""
        return self.out / "windows" / name

    def file(self, seed: int, name: str) -> Path:
        """Of an arm's training, or what came of it."""
        return self.out / f"seed{seed}" / name.replace(", ", "_").replace(" ", "_")

    def weights(self, seed: int, arm: str) -> Path:
        """Of a trained arm."""
        return self.file(seed, arm).with_suffix(".safetensors")

    @property
    def first_set(self) -> str:
        """Label set of round 0."""
        return label_set_of(self.root("unlabelled"), labeler="dis-flow")

    def second_set(self, seed: int) -> str:
        """Label set of the audited student of a seed."""
        sha256 = read_weights(str(self.weights(seed, "audited"))).sha256
        return label_set_of(self.root("unlabelled"), labeler="refined-flow", checkpoint_sha256=sha256)


def main(
    out: Annotated[Path, typer.Option(help="Where clips, windows, weights and results go.")] = Path("out/teacher_loop"),
    gate: Annotated[Path, typer.Option(help="Of refiner_gate.py, whose labelled windows are used; they are made if need be.")] = Path(
        "out/refiner_gate"
    ),
    seeds: Annotated[int, typer.Option(help="Of weights and orders.")] = 5,
    base_steps: Annotated[int, typer.Option(help="Of a base, on labelled windows of 24 frames.")] = 360,
    steps: Annotated[int, typer.Option(help="Of a tuning, every other one on unlabelled clips.")] = 180,
    size: Annotated[str, typer.Option(help="Of the clips, HEIGHTxWIDTH; the gate's.")] = "192x256",
    share: Annotated[float, typer.Option(help="Of the clips, for a try.")] = 1.0,
    side_by_side: Annotated[int, typer.Option(help="Trainings at a time, each on one thread.")] = 2,
) -> None:
    """Print one JSON, and write it to OUT."""
    height, width = map(int, size.split("x"))
    plan = Plan(
        out=out.absolute(),
        gate=gate.absolute(),
        seeds=seeds,
        base_steps=base_steps,
        steps=steps,
        height=height,
        width=width,
        share=share,
    )
    refiner_gate.hold_to_lessons(plan.lessons)
    hold_to_plan(plan.out / "plan.json", {name: value for name, value in asdict(plan).items() if name not in ("out", "gate")})
    every = range(seeds)
    with (
        ThreadPoolExecutor(side_by_side) as threads,
        ProcessPoolExecutor(side_by_side, initializer=one_thread, mp_context=mp.get_context("spawn")) as pool,
    ):
        list(threads.map(lambda made: made[0](*made[1:]), datasets(plan)))
        list(pool.map(make_windows, [plan] * 5, ("lessons", "watched", "unlabelled", "shuffled", "held")))
        list(pool.map(train_base, [plan] * seeds, every))
        first = [(seed, arm) for seed in every for arm in ROUND_1]
        list(pool.map(tune, [plan] * len(first), *zip(*first, strict=True)))
        verdicts = list(threads.map(partial(label_again, plan), every))
        list(pool.map(tune, [plan] * seeds, every, [ROUND_2] * seeds))
        arms = [(seed, arm) for seed in every for arm in ARMS]
        scores = dict(zip(arms, pool.map(scores_of, [plan] * len(arms), *zip(*arms, strict=True)), strict=True))
        chains = pool.submit(chain_scores, plan).result()
        labels = pool.submit(label_scores, plan).result()
    result = summary(plan, scores, chains, labels, verdicts)
    (plan.out / "result.json").write_text(json.dumps(result, indent=1))
    typer.echo(json.dumps(result, indent=1))


def datasets(plan: Plan) -> list[tuple[Any, ...]]:
    """Calls that make what is rendered, each with its arguments; the unlabelled clips are labelled and audited."""
    lessons = [(refiner_gate.make_dataset, plan.lessons, name) for name in (*TRAINED, *WATCHED)]
    return [(make_dataset, plan, name) for name in CLIPS] + lessons


def make_dataset(plan: Plan, name: str) -> None:
    """One dataset of CLIPS, where it is not there."""
    clips, seed = CLIPS[name]
    root = plan.root(name)
    shape = ("--clip-frames", FRAMES, "--height", plan.height, "--width", plan.width, "--queries", 2 * POINTS, "--split-shares", "train=1")
    count = max(4, round(clips * plan.share))
    job("synthesize.py", "--root", root, "--domain", "wild", "--num-clips", count, "--seed", seed, "--clips-per-shard", 16, *shape)
    if name == "unlabelled":
        label(plan, "dis-flow", "--option", "jumps=[1,2,4,8]")
        audit(plan, plan.first_set)


def label(plan: Plan, labeler: str, *options: object) -> None:
    """Label the unlabelled clips, where they are not. Points of true tracks are asked, so that labels can be held against the truth."""
    asked = ("--queries", POINTS, "--query-policy", "truth")
    job("pseudolabel.py", "--root", plan.root("unlabelled"), "--labeler", labeler, *asked, *options)


def audit(plan: Plan, label_set: str) -> None:
    """Audit a label set of the unlabelled clips, where it is not."""
    job("audit.py", "run", "--root", plan.root("unlabelled"), "--labels", label_set, "--no-gate")


def make_windows(plan: Plan, name: str) -> None:
    """Those of one kind, where they are not there: a file a clip."""
    if name == "lessons":
        for dataset in TRAINED:
            refiner_gate.make_windows(plan.lessons, dataset)
        return
    folder = plan.windows(name)
    if name in ("held", "watched"):
        roots = [plan.root("held")] if name == "held" else [plan.lessons.root(dataset) for dataset in WATCHED]
        clips = (clip for root in roots for clip in clips_with_truth(root))
        make_each(folder, clips, lambda clip, _: [measured_window(clip, FRAMES, POINTS)])
        return
    root = plan.root("unlabelled")
    told = {key: tracks_of_labels(labels) for key, labels in read_labels(str(root), plan.first_set)}
    labelled = (clip for clip in clips_with_truth(root) if clip.key in told)
    if name == "shuffled":
        kept = [replace(clip, depth=None) for clip in labelled]
        labelled = (replace(clip, frames=other.frames) for clip, other in zip(kept, kept[1:] + kept[:1], strict=True))

    def drawn(clip: Any, number: int) -> list[Window]:
        draws = [np.random.default_rng([CLIPS["unlabelled"][1], number, draw]) for draw in range(DRAWS)]
        return [degraded_window(clip, Cut(frames=FRAMES), POINTS, draw, told=told[clip.key]) for draw in draws]

    make_each(folder, labelled, drawn)


def make_each(folder: Path, clips: Any, windows_of: Callable[[Any, int], list[Window]]) -> None:
    """Windows of every clip, where they are not there."""
    for number, clip in enumerate(clips):
        if not (file := folder / f"{number:04d}.pt").exists():
            save(windows_of(clip, number), file)


def lessons_of(plan: Plan) -> list[Window]:
    """Labelled windows of as many frames as the unlabelled clips have."""
    windows = [window for name in TRAINED for window in load_windows(plan.lessons.windows(name))]
    return [window for window in windows if len(window.frames) == FRAMES and len(window.chosen) >= 8]


def labelled_loss(model: ChainRefiner, windows: Sequence[Window], draw: np.random.Generator) -> torch.Tensor:
    """Of a window with truth."""
    window = windows[int(draw.integers(len(windows)))]
    return window_loss(model, window, true_target(window.truth), draw, WEIGHTS)


def train_base(plan: Plan, seed: int) -> None:
    """On labelled windows, from random weights; the threshold of its scores, for all its arms."""
    file = plan.weights(seed, BASE)
    if not file.exists():
        windows, model = lessons_of(plan), new_model(seed)
        keeping = Keeping(file=plan.file(seed, "base_training").with_suffix(".pt"), every=100)
        loss = lambda number: labelled_loss(model, windows, np.random.default_rng([seed, number]))  # noqa: E731
        history = train(model, loss, steps=plan.base_steps, rate=RATE, keeping=keeping)
        watched = load_windows(plan.windows("watched"))
        threshold = best_threshold([find(model, inputs(window)) for window in watched], watched)
        save({"threshold": threshold, "loss": history}, plan.file(seed, "base_outcome").with_suffix(".pt"))
        write_weights(model, file, refiner_gate.sources_of(plan.lessons))


def told_to(plan: Plan, seed: int, arm: str) -> dict[str, Told]:
    """What an arm is told of the unlabelled clips, by key."""
    root = plan.root("unlabelled")
    if arm == "unaudited":
        return unaudited(root, plan.first_set)
    if arm == "true":
        return true_told(clips_with_truth(root), dict(read_labels(str(root), plan.first_set)))
    label_set = plan.second_set(seed) if arm == ROUND_2 else plan.first_set
    return audited(root, label_set, label_set)


def tune(plan: Plan, seed: int, arm: str) -> None:
    """The seed's base, by what the arm is told."""
    file = plan.weights(seed, arm)
    if file.exists():
        return
    told = told_to(plan, seed, arm)
    windows = [window for window in load_windows(plan.windows("shuffled" if arm == "shuffled" else "unlabelled")) if window.key in told]
    windows = [window for window in windows if len(window.chosen) >= 8]
    if not windows:
        raise ValueError(f"seed {seed}, {arm}: the audit left no window to tune on; take more clips (--share), or look at its report")
    lessons, model = lessons_of(plan), restored(plan, seed, BASE)

    def loss_of(number: int) -> torch.Tensor:
        draw = np.random.default_rng([seed, number, 1])
        if number % 2 == 0:
            return labelled_loss(model, lessons, draw)
        window = windows[int(draw.integers(len(windows)))]
        return window_loss(model, window, target_of(window, told[window.key]), draw, WEIGHTS)

    keeping = Keeping(file=plan.file(seed, f"{arm}_training").with_suffix(".pt"), every=100)
    train(model, loss_of, steps=plan.steps, rate=TUNING_RATE, keeping=keeping)
    write_weights(model, file, (*refiner_gate.sources_of(plan.lessons), source_of(plan, seed, arm)))


def source_of(plan: Plan, seed: int, arm: str) -> TrainingSource:
    """Of what an arm is told, for the header of its weights."""
    name = plan.root("unlabelled").name
    if arm == "true":
        return TrainingSource(dataset=name)
    label_set = plan.second_set(seed) if arm == ROUND_2 else plan.first_set
    return TrainingSource(dataset=name, labels=(label_set,), audit=None if arm == "unaudited" else label_set)


def label_again(plan: Plan, seed: int) -> dict[str, object]:
    """The audited student of a seed as a labeler: its label set, its audit, and what the comparison with round 0 says of it."""
    label(plan, "refined-flow", "--checkpoint", plan.weights(seed, "audited"), "--option", f"threshold={threshold_of(plan, seed)}")
    audit(plan, plan.second_set(seed))
    compared = plan.file(seed, "comparison")
    try:
        job("audit.py", "compare", plan.first_set, plan.second_set(seed), "--root", plan.root("unlabelled"), "--out", compared)
        code = 0
    except subprocess.CalledProcessError as error:
        if error.returncode != FALLS:
            raise
        code = error.returncode
    return {"label set": plan.second_set(seed), "the audit's comparison accepts it": code == 0}


def threshold_of(plan: Plan, seed: int) -> float:
    """Of the seed's base."""
    return float(torch.load(plan.file(seed, "base_outcome").with_suffix(".pt"), weights_only=False)["threshold"])


def restored(plan: Plan, seed: int, arm: str) -> ChainRefiner:
    """A trained model."""
    model = new_model(seed)
    load_weights(model, read_weights(str(plan.weights(seed, arm))))
    return model


def scores_of(plan: Plan, seed: int, arm: str) -> Values:
    """Values of every held-out clip."""
    file = plan.file(seed, f"{arm}_scores").with_suffix(".pt")
    if not file.exists():
        model, threshold = restored(plan, seed, arm), threshold_of(plan, seed)
        windows = load_windows(plan.windows("held"))
        save([measures(window, find(model, inputs(window)).labels(window.truth.queries, threshold)) for window in windows], file)
    found: Values = torch.load(file, weights_only=False)
    return found


def chain_scores(plan: Plan) -> dict[str, Values]:
    """The labeler of round 0 on the held-out clips, and with the strain limit."""
    windows = load_windows(plan.windows("held"))
    limits = {"round 0": None, "round 0, strain limit": STRAIN_LIMIT}
    return {name: [measures(window, chain_labels(window, limit)) for window in windows] for name, limit in limits.items()}


def label_scores(plan: Plan) -> dict[str, list[Values]]:
    """The label sets themselves, on the clips that they are of: round 0, and the seeds of round 1."""
    root = plan.root("unlabelled")
    sets = {"round 0": [plan.first_set], "round 1": [plan.second_set(seed) for seed in range(plan.seeds)]}
    labels = {name: [dict(read_labels(str(root), each)) for each in found] for name, found in sets.items()}
    truth = true_told(clips_with_truth(root), labels["round 0"][0])
    return {name: [label_accuracy(each, truth, plan.size) for each in found] for name, found in labels.items()}


def summary(
    plan: Plan,
    scores: dict[tuple[int, str], Values],
    chains: dict[str, Values],
    labels: dict[str, list[Values]],
    verdicts: Sequence[dict[str, object]],
) -> dict[str, Any]:
    """The result."""
    found = {arm: {name: of_arm(scores, plan.seeds, arm, name) for name in MEASURES} for arm in ARMS}
    baseline = {name: np.array([[clip[name] for clip in chains["round 0"]]] * plan.seeds) for name in MEASURES}
    limited = {name: np.array([[clip[name] for clip in chains["round 0, strain limit"]]] * plan.seeds) for name in MEASURES}
    kept = len(audited(plan.root("unlabelled"), plan.first_set, plan.first_set))
    return {
        "what": f"a teacher loop on wild clips of {FRAMES} frames, {plan.width} x {plan.height}; measured on other wild clips, percent",
        "plan": {name: value for name, value in asdict(plan).items() if name not in ("out", "gate")},
        "clips": {"unlabelled": len(labels["round 0"][0]), "kept by the audit": kept, "held out": len(chains["round 0"])},
        "means": {name: means_of(values) for name, values in chains.items()}
        | {arm: {name: values.mean(axis=1).round(2).tolist() for name, values in each.items()} for arm, each in found.items()},
        "less round 0": {arm: {name: difference(baseline[name], found[arm][name]) for name in MEASURES} for arm in ARMS},
        "less round 0 with the strain limit": {
            arm: {name: difference(limited[name], found[arm][name]) for name in MEASURES} for arm in ARMS
        },
        "differences": {
            f"{first} - {second}": {name: difference(found[second][name], found[first][name]) for name in MEASURES}
            for first, second in PAIRS
        },
        "labels of the unlabelled clips": {name: [means_of(values) for values in sets] for name, sets in labels.items()},
        "labels, round 1 less round 0": [
            {
                name: asdict(paired_difference([clip[name] for clip in labels["round 0"][0]], [clip[name] for clip in values]))
                for name in MEASURES
            }
            for values in labels["round 1"]
        ],
        "round 1 as a label set": list(verdicts),
        "thresholds": [threshold_of(plan, seed) for seed in range(plan.seeds)],
        "machine": machine(),
    }


def of_arm(scores: dict[tuple[int, str], Values], seeds: int, arm: str, name: str) -> np.ndarray:
    """One measure, "seeds clips"."""
    return np.array([[clip[name] for clip in scores[seed, arm]] for seed in range(seeds)])


def means_of(values: Values) -> dict[str, float]:
    """Over clips."""
    return {name: round(float(np.nanmean([clip[name] for clip in values])), 2) for name in MEASURES}


if __name__ == "__main__":
    typer.run(main)
