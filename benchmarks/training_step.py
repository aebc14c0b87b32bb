"""Where a step of training spends its time, the coupling losses against the step, and the memory that the search for neighbours takes.

`python benchmarks/training_step.py --config configs/tiny.yaml --set data.labelled.0.root=... ` prints one JSON: medians of the split
with their spread, and what the loader gives when nothing trains, at the configuration's sizes and at each of `--sizes`; then the coupling
losses at 512 tracks on the same network; then peak memory of the neighbour search at two budgets.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from networks import build_model
from networks.pi3 import ModelOutput
from networks.trajvg.correlation import nearest_neighbours
from trainer.data import ClipBatch, StepBatch, StepLoader
from trainer.data.workers import available_cpus, loader_workers
from trainer.families import family_of
from trainer.families.trajvg.coupling import labelled_coupling, self_supervised_coupling
from trainer.families.trajvg.tracking import normalise_tracks, static_tau
from trainer.loop import read_config
from trainer.loop.config import TrainConfig
from trainer.loop.optimisation import freeze
from trainer.loop.step_report import ProcessRank
from trainer.loop.train_step import TrainStep, make_objective
from trainer.losses import align_geometry, normalise_truth, predicted_geometry

NEIGHBOUR_POINTS, NEIGHBOUR_QUERIES = 16_384, 4_096
BUDGETS_MB = (16.0, 256.0)


class Stopwatch:
    """Seconds by name; on a GPU it waits for what was asked for."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        self._wait()
        began = time.perf_counter()
        yield
        self._wait()
        self.seconds[name].append(time.perf_counter() - began)

    def _wait(self) -> None:
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)


def sized(config: TrainConfig, size: str) -> TrainConfig:
    """The configuration with images of one size, such as "504x504" (width and height)."""
    width, height = map(int, size.split("x"))
    shape = replace(config.data.shape, pixels=(width * height,) * 2, aspect=(width / height,) * 2)
    return replace(config, data=replace(config.data, shape=shape))


def open_loader(config: TrainConfig, device: torch.device, patch: int) -> StepLoader:
    """As training opens it."""
    workers = loader_workers(config.loader_workers, available_cpus())
    return StepLoader(config.data, patch=patch, num_workers=workers, device=device)


def supply(config: TrainConfig, device: torch.device, steps: int, warm: int) -> dict[str, object]:
    """What the loader gives when nothing trains: steps that take longer than its own do not wait for data."""
    model = build_model(config.model.name, config.model.config)
    patch = family_of(config.model.name).patch_size(model)
    batches = iter(open_loader(config, device, patch))
    watch, frames, transfer_s = Stopwatch(device), 0, []
    for number in range(warm + steps):
        with watch.timing("step" if number >= warm else "warm"):
            batch = next(batches)
        if number >= warm:
            frames += count_frames(batch)
            transfer_s.append(batch.transfer_s)
    return {
        "workers": loader_workers(config.loader_workers, available_cpus()),
        "step_s": spread(watch.seconds["step"]),
        "frames_per_s": round(frames / sum(watch.seconds["step"]), 2),
        "transfer_and_collate_s": spread(transfer_s),
        "cpu_s_per_frame": cpu_per_frame(replace(config, loader_workers=0), device, patch, steps),
    }


def cpu_per_frame(config: TrainConfig, device: torch.device, patch: int, steps: int) -> float:
    """CPU seconds from a stored clip to the batch, whatever else the machine does: a loader without processes of its own."""
    batches = iter(open_loader(config, device, patch))
    next(batches)
    began, frames = time.process_time(), 0
    for _ in range(steps):
        frames += count_frames(next(batches))
    return round((time.process_time() - began) / frames, 4)


def count_frames(batch: StepBatch) -> int:
    """Images of all clips."""
    return sum(clips.images.shape[:2].numel() for clips in (batch.labelled, batch.pseudo) if clips)


def split(config: TrainConfig, device: torch.device, steps: int, warm: int) -> dict[str, object]:
    """Medians of what a step is made of, and the share of waiting."""
    model = build_model(config.model.name, config.model.config)
    freeze(model, config.frozen)
    step = TrainStep(model.to(device), config, ProcessRank(device=device))
    patch = family_of(config.model.name).patch_size(model)
    objective, learning = make_objective(model, config), [p for p in model.parameters() if p.requires_grad]
    batches = iter(open_loader(config, device, patch))
    watch = Stopwatch(device)
    for number in range(warm + steps):
        if number == warm:
            watch.seconds.clear()
        with watch.timing("data_wait"):
            batch = next(batches)
        both = ((batch.labelled, objective.labelled_losses), (batch.pseudo, objective.pseudo_losses))
        sides = [(clips, losses) for clips, losses in both if clips]
        with watch.timing("forward"):
            outputs = [objective.predict(clips) for clips, _ in sides]
        with watch.timing("losses"):
            total = torch.stack(
                [losses(output, clips).total().mean() for output, (clips, losses) in zip(outputs, sides, strict=True)]
            ).sum()
        with watch.timing("backward"):
            total.backward()
        with watch.timing("optimiser"):
            torch.nn.utils.clip_grad_norm_(learning, config.optimiser.clip_norm)
            step.optimiser.step()
            step.optimiser.zero_grad(set_to_none=True)
    totals = [sum(parts) for parts in zip(*watch.seconds.values(), strict=True)]
    return {
        "steps": steps,
        "step_s": spread(totals),
        "parts_s": {name: spread(values) for name, values in watch.seconds.items()},
        "data_wait_share": round(sum(watch.seconds["data_wait"]) / sum(totals), 4),
    }


def coupling_share(config: TrainConfig, device: torch.device, num_tracks: int, repeats: int) -> dict[str, object]:
    """Both coupling losses, forward and backward, beside a step without them, at so many tracks."""
    config = replace(config, data=replace(config.data, num_tracks=num_tracks), loader_workers=0)
    model = build_model(config.model.name, config.model.config).to(device)
    batch = next(iter(StepLoader(config.data, patch=family_of(config.model.name).patch_size(model)))).to(device)
    bare = make_objective(model, replace(config, losses=replace(config.losses, coupling=None, self_supervised=None)))
    watch, timed = Stopwatch(device), [clips for clips in (batch.labelled, batch.pseudo) if clips]
    for _ in range(repeats):
        for clips in timed:
            with watch.timing("step"):
                output = bare.predict(clips)
                total = bare.labelled_losses(output, clips).total().sum() if clips.geometry else output.local_points.mean()
                total.backward()
            output = bare.predict(clips)
            terms = coupled(config, output, clips)
            with watch.timing("coupling"):
                terms().backward()
    step, coupling = (spread(watch.seconds[name]) for name in ("step", "coupling"))
    return {
        "num_tracks": num_tracks,
        "step_s": step,
        "coupling_s": coupling,
        "share": round(sum(watch.seconds["coupling"]) / sum(watch.seconds["step"]), 4),
    }


def coupled(config: TrainConfig, output: ModelOutput, clips: ClipBatch) -> Callable[[], torch.Tensor]:
    """The coupling losses as a call; their gradient stops at the network's output, which is what they add to a step."""
    prediction = predicted_geometry(output)
    prediction = replace(
        prediction, **{name: getattr(prediction, name).detach().requires_grad_() for name in ("local_points", "camera_to_world", "tracks")}
    )
    settings, weights = config.losses.coupling_settings, config.losses.coupling
    if clips.geometry is None:
        return lambda: self_supervised_coupling(prediction, clips.observations, settings).total(weights).sum()
    normalised = normalise_truth(clips.geometry)
    scale = align_geometry(prediction, normalised, config.losses.geometry_settings).scale
    tau = static_tau(normalised.norm, clips.is_metric, settings)
    truth = normalise_tracks(clips.tracks3d_world, clips.geometry.camera_to_world, clips.visibility, norm=normalised.norm, tau=tau)
    return lambda: labelled_coupling(prediction, clips.observations, truth, scale=scale, settings=settings).total(weights).sum()


def neighbour_memory_mb(budget_mb: float) -> float:
    """How much the process grows while it searches; without a budget it is 257 MiB."""
    draw = torch.Generator().manual_seed(0)
    queries, points = (torch.rand(1, count, 3, generator=draw) for count in (NEIGHBOUR_QUERIES, NEIGHBOUR_POINTS))
    nearest_neighbours(queries[:, :8], points[:, :64], k=16, budget_mb=budget_mb)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: importing torch had one too
    before = _status_mb("VmRSS")
    nearest_neighbours(queries, points, k=16, budget_mb=budget_mb)
    return round(_status_mb("VmHWM") - before, 1)


def _status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def measured_apart(budget_mb: float) -> float:
    """In a process of its own, whose peak is this search's."""
    command = [sys.executable, __file__, "--neighbour-mb", str(budget_mb)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": round(statistics.median(values), 5), "min": round(min(values), 5), "max": round(max(values), 5)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/tiny.yaml")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--sizes", nargs="*", default=["504x504"], help="width x height of images, besides the configuration's own")
    parser.add_argument("--tracks", type=int, default=512)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--neighbour-mb", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.neighbour_mb is not None:
        print(neighbour_memory_mb(options.neighbour_mb))
        return
    device, config = torch.device(options.device), read_config(options.config, options.changes)
    sizes = {"own": config, **{size: sized(config, size) for size in options.sizes}}
    result = {
        "split": {size: split(sizes[size], device, options.steps, options.warm) for size in sizes},
        "supply": {size: supply(sizes[size], device, options.steps, options.warm) for size in sizes},
        "coupling": coupling_share(config, device, options.tracks, max(options.steps // 4, 2)),
        "neighbours_peak_mb": {str(budget): measured_apart(budget) for budget in BUDGETS_MB},
        "machine": {"cpu": platform.processor() or platform.machine(), "threads": torch.get_num_threads(), "device": str(device)},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
