"""Our CoTracker3 engine against the algorithm of the public code: seconds, peak memory, and how far the outputs lie apart.

The other side is the public package where it is installed, else our own plain reference. One case: `--cases forward-100`.
"""

import json
import time
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
import typer
from cotracker3_drift import drift
from cotracker3_memory import measure
from cotracker3_sides import CASES, SIDES, Case, Found, Settings, package_is_installed
from material import machine, paired


def main(
    cases: Annotated[str, typer.Option(help=f"Of {', '.join(CASES)}; separated by commas.")] = ",".join(CASES),
    frames: Annotated[int, typer.Option(help="Frames per clip; 0: the case's own, 24 or 48.")] = 0,
    theirs: Annotated[str, typer.Option(help="reference, or auto: the public package where it is installed, else the reference.")] = "auto",
    threads: Annotated[int, typer.Option(help="Of torch, on the CPU.")] = 2,
    repeats: Annotated[int, typer.Option(help="Pairs of timed runs; 0: no times.")] = 3,
    cpu_time: Annotated[bool, typer.Option("--cpu-time", help="CPU seconds instead of seconds: for a machine that is not quiet.")] = False,
    memory: Annotated[bool, typer.Option(help="Also measure peak memory, each side in a process of its own.")] = True,
    device: Annotated[str, typer.Option(help="As torch names it.")] = "cpu",
    precision: Annotated[str, typer.Option(help="Of our engine: float32 or bfloat16.")] = "float32",
    compile: Annotated[bool, typer.Option("--compile", help="torch.compile in our engine.")] = False,
    checkpoint: Annotated[str | None, typer.Option(help="Weights of the cases' model; by formula if not given.")] = None,
    with_drift: Annotated[bool | None, typer.Option("--drift/--no-drift", help="bfloat16 against float32; by default off the CPU.")] = None,
) -> None:
    """Print one JSON."""
    torch.set_num_threads(threads)
    settings = Settings(device=device, precision=precision, compile=compile, checkpoint=checkpoint)
    if theirs == "auto":
        theirs = "package" if package_is_installed() else "reference"
    results: dict[str, object] = {}
    for name in cases.split(","):
        # memory first: its processes should not compete with what the times leave allocated here
        sides = ("ours", theirs) if memory else ()
        peaks = {side: measure(side, name, settings, threads=threads, frames=frames) for side in sides}
        results[name] = compare(_case(name, frames), theirs, settings, repeats=repeats, cpu_time=cpu_time) | (
            {"memory": _with_ratios(peaks)} if memory else {}
        )
    if with_drift or (with_drift is None and device != "cpu"):
        results["bfloat16 against float32"] = drift(settings)
    what = f"our engine ({precision}{', compiled' if compile else ''}) against the {theirs}, 384x512, queries on random frames"
    where = machine() | {
        "clock": "CPU time" if cpu_time else "wall",
        "torch": torch.__version__,
        "threads": threads,
        "device": _device_name(device),
    }
    print(json.dumps({"what": what, "results": results, "machine": where}, indent=1))


def compare(case: Case, theirs: str, settings: Settings, *, repeats: int, cpu_time: bool = False) -> dict[str, object]:
    """Times in turn, after a warm-up, and the difference of the outputs."""
    video, queries = case.video(), case.queries()
    runs = {side: SIDES[side](case, settings) for side in ("ours", theirs)}
    if repeats:  # kernels are made and chosen by shape; without any a shorter clip will do, in a third of the time
        warm = case if settings.compile or settings.device != "cpu" else replace(case, num_frames=min(case.num_frames, 9))
        for run in runs.values():
            run(warm.video(), warm.queries())
    found: dict[str, Found] = {}

    def body(side: str) -> None:
        found[side] = runs[side](video, queries)

    clock = time.process_time if cpu_time else time.perf_counter
    if repeats:
        times: dict[str, object] = dict(paired(lambda: body("ours"), lambda: body(theirs), repeats=repeats, warm_up=False, clock=clock))
        times["our_point_frames_per_s"] = round(case.num_points * case.num_frames / float(str(times["ours_s"])))
    else:
        times = {}
        body("ours"), body(theirs)
    return {"points": case.num_points, "frames": case.num_frames} | times | difference(found["ours"], found[theirs])


def difference(ours: Found, theirs: Found) -> dict[str, float]:
    """The largest distance of two tracks' points in px, and of probabilities; for booleans, the share that differs."""
    result = {"largest_track_difference_px": float(np.linalg.norm(ours.tracks - theirs.tracks, axis=-1).max())}
    for name in ("visibility", "confidence"):
        first, second = getattr(ours, name), getattr(theirs, name)
        if first is not None and second is not None:
            result[f"largest_{name}_difference"] = float(np.abs(first - second).max())
    if ours.visible is not None and theirs.visible is not None:
        result["share_of_booleans_that_differ"] = float((ours.visible != theirs.visible).mean())
    return {name: float(f"{value:.2g}") for name, value in result.items()}


def _case(name: str, frames: int) -> Case:
    if name not in CASES:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(CASES)}")
    return replace(CASES[name], num_frames=frames) if frames else CASES[name]


def _with_ratios(peaks: dict[str, dict[str, float]]) -> dict[str, object]:
    """Ours over theirs beside both."""
    ours, theirs = peaks.values()
    return {**peaks, "ours_over_theirs": {name: round(ours[name] / theirs[name], 3) for name in ours}}


def _device_name(device: str) -> str:
    return device if device == "cpu" else torch.get_device_module(torch.device(device)).get_device_name(device)


if __name__ == "__main__":
    typer.run(main)
