"""Table 9 of TrajVG in miniature: does L_self on wild clips lower the camera's error on other wild clips? With controls.

For each seed a tiny TrajVG learns depth and cameras from `studio` clips whose cameras move little; arms then go on from it with audited
tracks of `wild` clips whose cameras move more. Stand-ins, since no pretrained weights are at hand: images carry inverse depth (3 % smooth
error) and DIS flow, and depth begins as given; separately, bases on pixels alone are taken to the fork and measured there. Everything else
is the project's: tracks and audit by its jobs, losses by trainer/families/trajvg. Run again, it goes on where it stopped.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from experiments import difference, job, save
from material import machine
from self_supervision_clips import NUM_TRACKS, SIZE, Window, studio_windows, wild_windows
from self_supervision_measures import measure
from self_supervision_network import PixelTrajVG, new_model
from self_supervision_runs import ARMS, WHOLE_ARMS, Pools, arm_losses, train_base, train_cameras, train_tracker, train_whole

from pipeline.labels import list_label_sets
from trainer.families.trajvg.settings import TrackingWeights
from trainer.losses import GeometryWeights

STUDIO_CLIPS, WILD_CLIPS = 160, 200  # of a seed's pool
SHARED = {  # name: clips, seed; all wild, and none is trained on
    "fork": (96, 9501),  # teacher and head are compared
    "chosen": (72, 9601),  # the weight of the pose term is chosen
    "test": (240, 8501),
}
UNLABELLED = ("chosen", "test")  # whose truth alone is asked for
STUDIO_SEED, WILD_SEED = 7501, 7601  # of the first pool; the next pool has the next one
RENDERED = (4 * SIZE[0], 4 * SIZE[1])
FORMS = ("points", "reprojection")  # of the pose term
WEIGHTS = (40.0, 120.0, 400.0)  # of camera_poses, to choose from
FORK = 0.6  # of the head's error, that the teacher's may be
MEASURES = {
    "ate": "ATE, m",
    "rpe_trans": "RPE-t, m",
    "rpe_rot_deg": "RPE-r, degrees",
    "cosine": "cosine of directions",
    "rta30": "RTA@30",
    "translation": "|t - t*| / |t*|",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is compared."""

    out: Path
    seeds: int
    pixel_seeds: int
    base_steps: int
    tracker_steps: int
    steps: int  # of an arm on stored tokens
    whole_steps: int  # of an arm of the whole network
    base_rate: float
    rate: float  # of the arms
    share: float  # of the clips

    def windows(self, name: str) -> list[Window]:
        """Of a dataset, prepared once."""
        found: list[Window] = torch.load(self.out / "windows" / f"{name}.pt", weights_only=False)
        return found

    def pools(self, seed: int) -> Pools:
        """What the seed's networks train on."""
        return Pools(studio=self.windows(f"studio_{seed}"), wild=self.windows(f"wild_{seed}"))

    def file(self, seed: int, name: str) -> Path:
        """Of a base, an arm, or their values."""
        return self.out / f"seed{seed}" / f"{name}.pt"


def main(
    out: Annotated[Path, typer.Option(help="Where data, weights and results go.")] = Path("out/self_supervision"),
    seeds: Annotated[int, typer.Option(help="With stand-in channels, each with pools of clips of its own.")] = 5,
    pixel_seeds: Annotated[int, typer.Option(help="On pixels alone, to the fork only.")] = 2,
    base_steps: Annotated[int, typer.Option(help="On labels, for depth and cameras.")] = 1500,
    tracker_steps: Annotated[int, typer.Option(help="On labels, for the tracker, all else frozen.")] = 300,
    steps: Annotated[int, typer.Option(help="Of an arm on stored tokens, cameras alone.")] = 400,
    whole_steps: Annotated[int, typer.Option(help="Of an arm of the whole network.")] = 200,
    base_rate: Annotated[float, typer.Option(help="Highest learning rate of a base.")] = 1e-3,
    rate: Annotated[float, typer.Option(help="Highest learning rate of an arm.")] = 3e-4,
    share: Annotated[float, typer.Option(help="Of the clips, for a try.")] = 1.0,
    side_by_side: Annotated[int, typer.Option(help="Trainings at a time, each on one thread.")] = 2,
) -> None:
    """Print one JSON, and write it to OUT."""
    plan = Plan(
        out=out.absolute(),
        seeds=seeds,
        pixel_seeds=pixel_seeds,
        base_steps=base_steps,
        tracker_steps=tracker_steps,
        steps=steps,
        whole_steps=whole_steps,
        base_rate=base_rate,
        rate=rate,
        share=share,
    )
    make_data(plan, side_by_side)
    with ProcessPoolExecutor(side_by_side, initializer=torch.set_num_threads, initargs=(1,)) as pool:

        def run(function: Callable[..., Any], work: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], Any]:
            return dict(zip(work, pool.map(function, [plan] * len(work), *zip(*work, strict=True)), strict=True)) if work else {}

        forks = run(fork_of, [(seed, True) for seed in range(seeds)] + [(seed, False) for seed in range(pixel_seeds)])
        going_on = [seed for seed in range(seeds) if forks[seed, True]["forks"]]
        compared = compare_arms(going_on, run) if going_on else {}
    result = {
        "what": "camera error on wild clips; differences are arm less arm on the same clips; seeds that did not fork are not in them",
        "plan": {name: value for name, value in asdict(plan).items() if name != "out"},
        "fork": {f"seed {seed}, {'channels' if given else 'pixels alone'}": values for (seed, given), values in forks.items()},
        **compared,
        "clips": {file.stem: len(plan.windows(file.stem)) for file in sorted((plan.out / "windows").glob("*.pt"))},
        "machine": machine(),
    }
    (plan.out / "result.json").write_text(json.dumps(result, indent=1))
    typer.echo(json.dumps(result, indent=1))


def compare_arms(seeds: Sequence[int], run: Callable[..., dict[tuple[Any, ...], Any]]) -> dict[str, Any]:
    """Choose the pose term's weight with the first seed, train all arms, and put them side by side.

    Args:
        run: calls a function with the plan and each of some tuples of arguments, side by side; results by tuple.
    """
    tried = run(try_weight, [(seeds[0], form, weight) for form in FORMS for weight in WEIGHTS])
    chosen = {form: min(WEIGHTS, key=lambda weight: tried[seeds[0], form, weight]) for form in FORMS}
    run(train_one_tracker, [(seed,) for seed in seeds])
    every = {**ARMS, **WHOLE_ARMS}
    trained = run(train_arm, [(seed, name, chosen[arm.form or "points"]) for name, arm in every.items() for seed in seeds])
    return {
        "weight_of_camera_poses": chosen,
        "translation_of_weights": {f"{form}, {weight:g}": value for (_, form, weight), value in tried.items()},
        **summary(seeds, {(seed, name): values for (seed, name, _), values in trained.items()}),
    }


def make_data(plan: Plan, side_by_side: int, shared: Sequence[str] = tuple(SHARED)) -> None:
    """Render, label, audit, prepare: the seeds' pools, and those of SHARED that are named."""
    studio = [(f"studio_{seed}", STUDIO_CLIPS, STUDIO_SEED + seed) for seed in range(max(plan.seeds, plan.pixel_seeds))]
    wild = [(f"wild_{seed}", WILD_CLIPS, WILD_SEED + seed) for seed in range(plan.seeds)]
    datasets = [*((name, *SHARED[name]) for name in shared), *studio, *wild]
    with ThreadPoolExecutor(side_by_side) as pool:
        list(pool.map(lambda dataset: make_dataset(plan, *dataset), datasets))


def make_dataset(plan: Plan, name: str, count: int, seed: int) -> None:
    """One dataset, and the file of its windows."""
    file = plan.out / "windows" / f"{name}.pt"
    if file.exists():
        return
    domain, root = "studio" if name.startswith("studio") else "wild", plan.out / "data" / name
    shape = ("--clip-frames", 24, "--height", RENDERED[0], "--width", RENDERED[1], "--queries", 1024, "--split-shares", "train=1")
    number = ("--num-clips", max(8, round(plan.share * count)), "--seed", seed, "--clips-per-shard", 16)
    job("synthesize.py", "--root", root, "--domain", domain, *number, *shape)
    if domain == "studio" or name in UNLABELLED:
        save(studio_windows(root) if domain == "studio" else wild_windows(root), file)
        return
    job("pseudolabel.py", "--root", root, "--labeler", "dis-flow", "--queries", NUM_TRACKS, "--query-frames", 1)
    (audit,) = list_label_sets(str(root))
    job("audit.py", "run", "--root", root, "--labels", audit, "--no-gate")
    save(wild_windows(root, audit), file)


def base_name(given: bool) -> str:
    return "base" if given else "base on pixels"


def restored(plan: Plan, seed: int, name: str, *, given: bool = True) -> PixelTrajVG:
    """A model with stored weights."""
    model = new_model(seed, given=given)
    model.load_state_dict(torch.load(plan.file(seed, name), weights_only=False)["weights"])
    return model


def train_one_base(plan: Plan, seed: int, given: bool) -> None:
    """On labels of the seed's own pool."""
    file = plan.file(seed, base_name(given))
    if not file.exists():
        model = new_model(seed, given=given)
        history = train_base(model, plan.windows(f"studio_{seed}"), seed=seed, steps=plan.base_steps, rate=plan.base_rate)
        save({"weights": model.state_dict(), "loss": history}, file)


def fork_of(plan: Plan, seed: int, given: bool) -> dict[str, Any]:
    """Train the base; |t - t*| / |t*| of the teacher, a fit to the base's own points, and of its head, on clips used for nothing else."""
    name = base_name(given)
    train_one_base(plan, seed, given)
    file = plan.file(seed, f"fork of {name}")
    if not file.exists():
        model = restored(plan, seed, name, given=given)
        save({dataset: measure(model, plan.windows(dataset)) for dataset in ("fork", f"studio_{seed}")}, file)
    values = torch.load(file, weights_only=False)
    means = {dataset: average(clips) for dataset, clips in values.items()}
    fork = means["fork"]
    return {
        "teacher": fork["teacher_fit"],
        "teacher_by_pnp": fork["pnp_fit"],
        "head": fork["teacher_head"],
        "standing_still": 1.0,
        "teacher_over_head": round(fork["teacher_fit"] / fork["teacher_head"], 4),
        "forks": fork["teacher_fit"] <= FORK * fork["teacher_head"],
        "depth_error": fork["depth"],
        "cosine": fork["cosine"],
        "cosine_on_its_studio_clips": means[f"studio_{seed}"]["cosine"],
    }


def average(clips: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of every value over the clips that have it."""
    return {name: round(float(np.nanmean([clip[name] for clip in clips])), 5) for name in clips[0]}


def try_weight(plan: Plan, seed: int, form: str, weight: float) -> float:
    """|t - t*| / |t*| on the clips that nothing but the weight is chosen on."""
    file = plan.file(seed, f"try {form} {weight:g}")
    if not file.exists():
        model = restored(plan, seed, "base")
        arm = next(arm for arm in ARMS.values() if arm.form == form and arm.tracks == "audited")
        train_cameras(model, arm, plan.pools(seed), weight=weight, seed=seed, steps=plan.steps, rate=plan.rate)
        save(measure(model, plan.windows("chosen")), file)
    return average(torch.load(file, weights_only=False))["translation"]


def train_one_tracker(plan: Plan, seed: int) -> None:
    """Of the base, for the arms of the whole network."""
    file = plan.file(seed, "tracker")
    if not file.exists():
        model = restored(plan, seed, "base")
        train_tracker(model, plan.windows(f"studio_{seed}"), seed=seed, steps=plan.tracker_steps, rate=plan.base_rate)
        save({"weights": model.state_dict()}, file)


def train_arm(plan: Plan, seed: int, name: str, weight: float) -> list[dict[str, float]]:
    """From the base, and its values on the test clips."""
    file = plan.file(seed, name.replace(": ", " "))
    if not file.exists():
        if name in ARMS:
            model = restored(plan, seed, "base")
            train_cameras(model, ARMS[name], plan.pools(seed), weight=weight, seed=seed, steps=plan.steps, rate=plan.rate)
        else:
            model, arm = restored(plan, seed, "tracker"), WHOLE_ARMS[name]
            geometry = GeometryWeights(points=1, normals=0, camera=0.1, confidence=0)
            losses = arm_losses(arm, weight, geometry, TrackingWeights(tracks=1, visibility=0.1))
            train_whole(model, arm, plan.pools(seed), losses, seed=seed, steps=plan.whole_steps, rate=plan.rate)
        save(measure(model, plan.windows("test")), file)
    values: list[dict[str, float]] = torch.load(file, weights_only=False)
    return values


def summary(seeds: Sequence[int], scores: Mapping[tuple[int, str], Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    """Means of the arms, and of standing still; paired differences against no L_self, and against another clip's tracks."""

    def values(name: str, measure_name: str) -> np.ndarray:
        return np.array([[clip[measure_name] for clip in scores[seed, name]] for seed in seeds])

    def against(first: str, second: str) -> dict[str, Any]:
        return {title: difference(values(first, name), values(second, name)) for name, title in MEASURES.items()}

    def means(name: str, prefix: str = "") -> dict[str, list[float]]:
        return {title: np.nanmean(values(name, prefix + part), axis=1).round(5).tolist() for part, title in MEASURES.items()}

    controls = {"printed": "printed, shuffled tracks", "reprojection": "reprojection, shuffled tracks",
                "whole: printed": "whole: printed, shuffled tracks"}  # fmt: skip
    nothing = {name: "none" if name in ARMS else "whole: none" for name in (*ARMS, *WHOLE_ARMS)}
    return {
        "seeds": list(seeds),
        "standing_still": means("none", "still_"),
        "arms": {name: means(name) for name in nothing},
        "less_none": {name: against(none, name) for name, none in nothing.items() if name != none},
        "less_shuffled": {name: against(control, name) for name, control in controls.items()},
        "cons_less_printed": against("whole: printed", "whole: printed + L_cons"),
    }


if __name__ == "__main__":
    typer.run(main)
