"""St4RTrack at its public size with random weights: seconds and peak memory of one pair, and a clip whose images are encoded once.

`python benchmarks/st4rtrack_forward.py` prints one JSON. Each case runs in a process of its own, whose peak is that case's. Seconds are of
computing (of all threads together) on a CPU, so that a busy machine counts little, and of the clock elsewhere. The clip's pairs (first
frame, frame j) are computed in turn by `pair_maps`, which encodes each of T images once, and by T calls of the network, which encode 2 T:
the ratio of the two times is what to read. Both give the same maps, and the largest difference is printed.
"""

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import torch
import typer

from networks import build_model
from networks.layers.computing import PRECISIONS, Precision, forward_precision
from networks.st4rtrack.network import TwinNetwork
from trainer.families.st4rtrack.family import pair_maps

PAIR_SIZE = (288, 512)  # height and width that the public weights were trained on
CLIP_SIZE = (144, 256)  # of the public script that adapts
_NOISE = 1 << 20  # numbers that are drawn, and repeated
Result = TypeVar("Result")
OUTPUTS = ("point_map_1", "confidence_1", "point_map_2", "confidence_2")


def measure(case: str, *, precision: Precision, device: str, frames: int, repeats: int) -> dict[str, object]:
    """One case in this process; the network has random weights."""
    where = torch.device(device)
    model = _random_network(where)
    before = _status_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: making weights had one too
    if where.type != "cpu":
        torch.get_device_module(where).reset_peak_memory_stats(where)
    with torch.inference_mode(), forward_precision(where, precision):
        found = _pair(model, where, repeats) if case == "pair" else _clip(model, where, frames, repeats)
    found |= {"weights_mib": round(before, 1), "peak_mib": round(_status_mib("VmHWM"), 1)}
    if where.type != "cpu":
        found["device_peak_mib"] = round(torch.get_device_module(where).max_memory_allocated(where) / 2**20, 1)
    return found


def _random_network(where: torch.device) -> TwinNetwork:
    """The public size with noise for weights, which takes a tenth of the time of proper fresh ones."""
    with torch.device("meta"):
        model = build_model("st4rtrack")
    assert isinstance(model, TwinNetwork)
    model.to_empty(device=where)
    noise = torch.randn(_NOISE, generator=torch.Generator().manual_seed(0)).to(where)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2:
                weight.fill_(float(name.endswith("weight")))
                continue
            scale = (weight.numel() / len(weight)) ** -0.5
            for part in weight.view(-1).split(_NOISE):
                torch.mul(noise[: len(part)], scale, out=part)
    return model.eval()


def _pair(model: TwinNetwork, where: torch.device, repeats: int) -> dict[str, object]:
    """Seconds of one pair of the public size."""
    images = _images(2, PAIR_SIZE, where) * 2 - 1
    seconds = [_seconds(lambda: model(images[:1], images[1:]), where)[0] for _ in range(repeats)]
    return {"size": list(PAIR_SIZE), "seconds": _spread(seconds)}


def _clip(model: TwinNetwork, where: torch.device, frames: int, repeats: int) -> dict[str, object]:
    """Seconds of a clip's pairs with images encoded once, and pair by pair; in turn, and their ratio."""
    images = _images(frames, CLIP_SIZE, where)
    once, twice, difference = [], [], 0.0
    for _ in range(repeats):
        fast, together = _seconds(lambda: pair_maps(model, images[None], pairs_at_once=1), where)
        slow, apart = _seconds(lambda: [model(images[:1] * 2 - 1, image[None] * 2 - 1) for image in images], where)
        once.append(fast)
        twice.append(slow)
        for name in OUTPUTS:
            one_by_one = torch.cat([getattr(pair, name) for pair in apart])
            difference = max(difference, float((getattr(together, name) - one_by_one).abs().max()))
    return {
        "size": list(CLIP_SIZE),
        "frames": frames,
        "encoded_once_s": _spread(once),
        "pair_by_pair_s": _spread(twice),
        "ratio": round(statistics.median(slow / fast for fast, slow in zip(once, twice, strict=True)), 3),
        "largest_difference": difference,
    }


def _seconds(call: Callable[[], Result], where: torch.device) -> tuple[float, Result]:
    if where.type == "cpu":
        began = time.process_time()
        result = call()
        return time.process_time() - began, result
    torch.accelerator.synchronize(where)
    began = time.perf_counter()
    result = call()
    torch.accelerator.synchronize(where)
    return time.perf_counter() - began, result


def _images(count: int, size: tuple[int, int], where: torch.device) -> torch.Tensor:
    """Noise "count 3 H W" in [0, 1]."""
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0)).to(where)


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 2), "min": round(min(values), 2), "max": round(max(values), 2)}


def _status_mib(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def main(
    device: Annotated[str, typer.Option(help="cpu, cuda, or another of torch.")] = "cpu",
    frames: Annotated[int, typer.Option(help="Of the clip.")] = 4,
    repeats: Annotated[int, typer.Option(help="Of every case.")] = 3,
    case: Annotated[str, typer.Option(hidden=True)] = "",
    precision: Annotated[Precision, typer.Option(hidden=True)] = "float32",
) -> None:
    """Print one JSON."""
    if case:
        typer.echo(json.dumps(measure(case, precision=precision, device=device, frames=frames, repeats=repeats)))
        return
    results = {}
    for name, kind in (*(("pair", known) for known in PRECISIONS), ("clip", "float32")):
        options = ("--case", name, "--precision", kind, "--device", device, "--frames", str(frames), "--repeats", str(repeats))
        done = subprocess.run([sys.executable, __file__, *options], stdout=subprocess.PIPE, text=True, check=True)
        results[f"{name} {kind}"] = json.loads(done.stdout)
        typer.echo(f"{name} {kind}: {done.stdout.strip()}", err=True)
    machine = {"cpu": platform.processor() or platform.machine(), "threads": torch.get_num_threads(), "device": device}
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    typer.echo(json.dumps({**results, "machine": machine, "versions": versions}, indent=1))


if __name__ == "__main__":
    typer.run(main)
