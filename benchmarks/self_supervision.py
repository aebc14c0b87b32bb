"""Table 9 of TrajVG in miniature: does L_self on wild clips lower the camera's error on other wild clips?

Rendered `studio` clips carry labels; rendered `wild` clips carry audited pseudo tracks of dis-flow alone. For every seed a network is
trained on labels, first depth and cameras, then the tracker; from its checkpoint two arms go on with the same clips in the same order for
as many steps, one with L_self and one without. Both are measured on wild clips of another seed. Run again it continues where it stopped.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from material import machine
from scipy.stats import t

from pipeline.drawing import write_image
from pipeline.drawing.charts import Axes, Series, chart_sheet, line_chart
from pipeline.labels import list_label_sets
from trainer.evaluation import paired_difference

HERE = Path(__file__).parents[1]
CONFIG = HERE / "configs" / "tiny.yaml"
METRICS = {"ate": "ATE", "rpe_trans": "RPE-t", "rpe_rot_deg": "RPE-r"}
ARMS = {"without": 0.0, "with": 1.0}  # factor of L_self's weight
ALL_BUT_TRACKER = (
    "encoder", "register_token", "decoder", "point_decoder", "conf_decoder", "camera_decoder", "point_head", "conf_head", "camera_head"
)  # fmt: skip
STUDIO_SEED, WILD_SEED, HELD_OUT_SEED = 7101, 7201, 8201  # of the first part; the next part has the next one
STUDIO_CLIPS, WILD_CLIPS = 120, 80  # of a part
STUDIO_SIZE, WILD_SIZE = (120, 160), (240, 320)  # of smaller wild clips the audit keeps few


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is compared."""

    out: Path
    studio: int  # parts, each a dataset
    wild: int
    held_out: int  # clips
    geometry_steps: int
    tracker_steps: int
    steps: int
    arm_rate: float  # highest learning rate of the arms
    weight: float  # lambda_self
    changes: tuple[str, ...]  # of the configuration, for all runs
    marks: int  # how often the arms are measured

    @property
    def studio_roots(self) -> list[Path]:
        """Datasets with labels."""
        return [self.out / "data" / f"studio_{part}" for part in range(self.studio)]

    @property
    def wild_roots(self) -> list[Path]:
        """Datasets with pseudo tracks."""
        return [self.out / "data" / f"wild_{part}" for part in range(self.wild)]

    @property
    def held_out_root(self) -> Path:
        """Wild clips that nothing is trained on."""
        return self.out / "data" / "held_out"

    def run(self, seed: int, arm: str) -> Path:
        """Folder of a run."""
        return self.out / f"seed{seed}" / arm


def main(
    out: Annotated[Path, typer.Option(help="Where data, runs and results go.")] = Path("out/self_supervision"),
    seeds: Annotated[int, typer.Option(help="Pairs of runs.")] = 3,
    first_seed: Annotated[int, typer.Option(help="The first of them.")] = 0,
    studio: Annotated[int, typer.Option(help="Datasets of 120 clips with labels.")] = 4,
    wild: Annotated[int, typer.Option(help="Datasets of 80 clips with pseudo tracks.")] = 2,
    held_out: Annotated[int, typer.Option(help="Wild clips to measure on.")] = 32,
    geometry_steps: Annotated[int, typer.Option(help="Steps on labels alone that teach depth and cameras.")] = 1800,
    tracker_steps: Annotated[int, typer.Option(help="Steps on labels alone that teach the tracker, all else frozen.")] = 400,
    steps: Annotated[int, typer.Option(help="Steps of each arm.")] = 300,
    arm_rate: Annotated[float, typer.Option(help="Highest learning rate of the arms; the base has the configuration's.")] = 5e-4,
    weight: Annotated[float, typer.Option(help="lambda_self of the arm that has it.")] = 1.0,
    change: Annotated[list[str] | None, typer.Option("--set", help="Change the configuration of all runs: NAME=VALUE.")] = None,
    marks: Annotated[int, typer.Option(help="How often the arms are measured on their way.")] = 3,
    side_by_side: Annotated[int, typer.Option(help="Runs at a time, each on one thread.")] = 2,
) -> None:
    """Print one JSON, and write it with a picture of the curves to OUT."""
    plan = Plan(
        out=out.absolute(),
        studio=studio,
        wild=wild,
        held_out=held_out,
        geometry_steps=geometry_steps,
        tracker_steps=tracker_steps,
        steps=steps,
        arm_rate=arm_rate,
        weight=weight,
        changes=tuple(change or ()),
        marks=marks,
    )
    chosen = range(first_seed, first_seed + seeds)
    with ThreadPoolExecutor(side_by_side) as pool:
        audit = make_data(plan, pool)
        bases = {seed: pool.submit(train_base, plan, seed) for seed in chosen}  # all of them before the first arm
        arms = [
            pool.submit(lambda seed=seed, arm=arm: (bases[seed].result(), train_arm(plan, seed, arm, audit)))
            for seed in chosen
            for arm in ARMS
        ]
        for arm in arms:
            arm.result()
        scores = dict(zip(chosen, pool.map(lambda seed: measure(plan, seed), chosen), strict=True))
    result = {
        "what": "camera error on held-out wild clips; differences are with L_self less without, relative to without",
        "plan": {name: value for name, value in asdict(plan).items() if name != "out"},
        "audit": audit,
        **compare(scores),
        "machine": machine(),
    }
    (plan.out / "result.json").write_text(json.dumps(result, indent=1))
    write_image(str(plan.out / "curves.png"), curves(plan, scores))
    typer.echo(json.dumps(result, indent=1))


def make_data(plan: Plan, pool: ThreadPoolExecutor) -> str:
    """Render, label and audit; returns the audit's name, which is one for all parts."""
    work = [
        pool.submit(render, root, "studio", STUDIO_CLIPS, STUDIO_SEED + part, STUDIO_SIZE) for part, root in enumerate(plan.studio_roots)
    ]
    work.append(pool.submit(render, plan.held_out_root, "wild", plan.held_out, HELD_OUT_SEED, WILD_SIZE))
    audits = [pool.submit(make_wild, root, WILD_SEED + part) for part, root in enumerate(plan.wild_roots)]
    for done in work:
        done.result()
    (audit,) = {done.result() for done in audits}
    return audit


def render(root: Path, domain: str, count: int, seed: int, size: tuple[int, int]) -> None:
    """One dataset of rendered clips."""
    shape = ("--clip-frames", 24, "--height", size[0], "--width", size[1], "--queries", 256, "--split-shares", "train=1")
    number = ("--num-clips", count, "--seed", seed, "--clips-per-shard", 64)  # as the published figures were made
    job("synthesize.py", "--root", root, "--domain", domain, *number, *shape)


def make_wild(root: Path, seed: int) -> str:
    """One dataset with audited pseudo tracks; returns the audit's name."""
    render(root, "wild", WILD_CLIPS, seed, WILD_SIZE)
    job("pseudolabel.py", "--root", root, "--labeler", "dis-flow", "--queries", 144, "--query-frames", 3)
    (audit,) = list_label_sets(str(root))
    job("audit.py", "run", "--root", root, "--labels", audit, "--no-gate")
    return audit


def train_base(plan: Plan, seed: int) -> None:
    """On labels alone: depth and cameras, as π³ is trained; then the tracker on the frozen rest, as TrajVG's first stage has it."""
    on_labels = (f"data.seed={seed}", "data.pseudo=[]", "losses.coupling=null", "losses.self_supervised=null")
    if not finished(plan.run(seed, "geometry"), plan.geometry_steps):
        learn(plan, seed, "geometry", *on_labels, f"steps={plan.geometry_steps}", "losses.tracking=null")
    if not finished(plan.run(seed, "base"), plan.tracker_steps):
        start = checkpoint(plan.run(seed, "geometry"), plan.geometry_steps)
        changes = (f"steps={plan.tracker_steps}", f"model.start={start}", f"frozen={json.dumps(ALL_BUT_TRACKER)}", "losses.geometry=null")
        learn(plan, seed, "base", *on_labels, *changes)


def train_arm(plan: Plan, seed: int, arm: str, audit: str) -> None:
    """From the base's checkpoint. Both arms read the same clips; the one without L_self makes nothing of the wild ones."""
    if finished(plan.run(seed, arm), plan.steps):
        return
    start = checkpoint(plan.run(seed, "base"), plan.tracker_steps)
    every = max(1, plan.steps // plan.marks)
    weight = ARMS[arm] * plan.weight
    changes = (
        f"data.seed={1000 + seed}",
        f"data.pseudo={parts(plan.wild_roots, audit=audit)}",
        f"steps={plan.steps}",
        f"model.start={start}",
        f"optimiser.learning_rate={plan.arm_rate:e}",
        f"optimiser.encoder_learning_rate={plan.arm_rate:e}",
        f"losses.self_supervised_weight={weight}",
        f"checkpoints.every_steps={every}",
        f"checkpoints.keep={plan.marks + 1}",
    )
    learn(plan, seed, arm, *changes)


def learn(plan: Plan, seed: int, arm: str, *changes: str) -> None:
    """One run of jobs/train.py."""
    common = (f"data.labelled={parts(plan.studio_roots)}", f"seed={seed}", *plan.changes)
    options = [part for change in (*common, *changes) for part in ("--set", change)]
    job("train.py", "--config", CONFIG, "--out", plan.run(seed, arm), "--resume", *options, inline=False)


def parts(roots: Sequence[Path], **fields: str) -> str:
    """The parts of a mixture, as a configuration names them."""
    return json.dumps([{"root": str(root), **fields} for root in roots])


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"{step:08d}.safetensors"


def finished(run: Path, steps: int) -> bool:
    return checkpoint(run, steps).exists()


def measure(plan: Plan, seed: int) -> dict[str, dict[int, dict[str, list[float]]]]:
    """Values of every clip: by arm, step and metric. Step 0 is the checkpoint that both arms begin with."""
    every = max(1, plan.steps // plan.marks)
    base = checkpoint(plan.run(seed, "base"), plan.tracker_steps)
    places = {(arm, step): checkpoint(plan.run(seed, arm), step) for arm in ARMS for step in range(every, plan.steps + 1, every)}
    files = [base, *places.values()]
    folder = plan.out / f"seed{seed}" / "evaluation"
    listed = [part for file in files for part in ("--checkpoint", file)]
    options = ("--protocol", "poses", "--clip-frames", 5, "--stride", 4, "--pixels", 4300, "--out", folder)
    if not (folder / "model_evaluation.json").exists():
        job("evaluate.py", "model", "--root", plan.held_out_root, *listed, *options, inline=False)
    document = json.loads((folder / "model_evaluation.json").read_text())
    values = [[clip["values"] for clip in one["clips"]] for one in document["checkpoints"]]
    by_metric = [{name: [number(clip[name]) for clip in clips] for name in METRICS} for clips in values]
    found: dict[str, dict[int, dict[str, list[float]]]] = {arm: {0: by_metric[0]} for arm in ARMS}
    for (arm, step), one in zip(places, by_metric[1:], strict=True):
        found[arm][step] = one
    return found


def number(value: float | None) -> float:
    return float("nan") if value is None else value


def compare(scores: Mapping[int, Mapping[str, Mapping[int, Mapping[str, Sequence[float]]]]]) -> dict[str, Any]:
    """Paired differences at the end: over all pairs of clip and seed, over clips (means of the seeds), and seed by seed."""
    last = max(next(iter(scores.values()))["with"])
    result: dict[str, Any] = {}
    for metric, title in METRICS.items():
        start, without, with_self = (
            np.array([scores[seed][arm][step][metric] for seed in scores]) for arm, step in (("with", 0), ("without", last), ("with", last))
        )
        result[title] = {
            "start": means(start),
            "without": means(without),
            "with": means(with_self),
            "by_seed": [asdict(paired_difference(*pair)) for pair in zip(without, with_self, strict=True)],
            "over_clips": asdict(paired_difference(without.mean(axis=0), with_self.mean(axis=0))),
            "over_seeds": of_seeds(np.nanmean(without, axis=1), np.nanmean(with_self, axis=1)),
        }
    return result


def of_seeds(before: np.ndarray, after: np.ndarray) -> dict[str, float | None]:
    """Mean difference of runs with its 95 % interval by Student's t: it speaks of other runs, on these clips."""
    difference = after - before
    mean, count = float(difference.mean()), len(difference)
    half = float(t.ppf(0.975, count - 1) * difference.std(ddof=1) / np.sqrt(count)) if count > 1 else None
    bounds = (None, None) if half is None else (mean - half, mean + half)
    return {"mean": mean, "low": bounds[0], "high": bounds[1], "relative": mean / float(before.mean()), "num_pairs": count}


def means(values: np.ndarray) -> list[float]:
    """One per seed."""
    return [round(float(value), 6) for value in np.nanmean(values, axis=1)]


def curves(plan: Plan, scores: Mapping[int, Mapping[str, Mapping[int, Mapping[str, Sequence[float]]]]]) -> np.ndarray:
    """Error against steps: the mean over clips and seeds of each arm."""
    charts = []
    for metric, title in METRICS.items():
        series = []
        for arm in ARMS:
            steps = sorted(next(iter(scores.values()))[arm])
            values = np.array([[np.nanmean(one[arm][step][metric]) for step in steps] for one in scores.values()])
            series.append(Series(name=f"{arm} L_self", x=np.array(steps, float), y=values.mean(axis=0)))
        lowest, highest = (pick([float(pick(line.y)) for line in series]) for pick in (min, max))
        room = 0.15 * max(highest - lowest, 1e-9)
        axes = Axes(
            title=f"{title} on held-out wild clips",
            x_label="steps after the common checkpoint",
            y_label="degrees" if metric == "rpe_rot_deg" else "after alignment",
            x_range=(0.0, float(plan.steps)),
            y_range=(lowest - room, highest + room),
        )
        charts.append(line_chart(axes, series))
    return chart_sheet(charts, title=f"{len(scores)} seeds, mean of their curves", names=[f"{arm} L_self" for arm in ARMS])


def job(name: str, *arguments: object, inline: bool = True) -> None:
    """Run one of our command lines on one thread; its tables go to standard error."""
    command: Iterable[object] = (sys.executable, HERE / "jobs" / name, *arguments, *(("--executor", "inline") if inline else ()))
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr, env={**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    typer.run(main)
