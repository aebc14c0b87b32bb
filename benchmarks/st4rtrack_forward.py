"""St4RTrack at its public size with random weights: seconds and peak memory of one pair, and a clip whose images are encoded once.

`python benchmarks/st4rtrack_forward.py` prints one JSON. Each case runs in a process of its own, whose peak is that case's. Seconds are of
computing (of all threads together) on a CPU, so that a busy machine counts little, and of the clock elsewhere. The clip's pairs (first
frame, frame j) are computed in turn by `pair_maps`, which encodes each of T images once, and by T calls of the network, which encode 2 T:
the ratio of the two times is what to read. Both give the same maps, and the largest difference is printed.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import torch
import typer
from full_size import noise_network, peak_memory, seconds_of, spread, warm_ups
from material import machine

from networks.layers.computing import PRECISIONS, Precision, forward_precision
from networks.st4rtrack.network import TwinNetwork
from trainer.families.st4rtrack.family import pair_maps

PAIR_SIZE = (288, 512)  # height and width that the public weights were trained on
CLIP_SIZE = (144, 256)  # of the public script that adapts
OUTPUTS = ("point_map_1", "confidence_1", "point_map_2", "confidence_2")


def measure(
    case: str,
    *,
    precision: Precision,
    device: str,
    frames: int,
    repeats: int,
    size: tuple[int, int] | None = None,
    config: Mapping[str, Any] | None = None,
) -> dict[str, object]:
    """One case in this process; the network has random weights.

    Args:
        size: height and width of the images; None for the case's own.
        config: of the network; None for the public size.
    """
    where = torch.device(device)
    model = noise_network("st4rtrack", where, config)
    assert isinstance(model, TwinNetwork)
    with peak_memory(where) as memory, torch.inference_mode(), forward_precision(where, precision):
        if case == "pair":
            found = _pair(model, where, size or PAIR_SIZE, repeats)
        else:
            found = _clip(model, where, size or CLIP_SIZE, frames, repeats)
    return {**found, **memory}


def _pair(model: TwinNetwork, where: torch.device, size: tuple[int, int], repeats: int) -> dict[str, object]:
    """Seconds of one pair."""
    images = _images(2, size, where) * 2 - 1
    warm = warm_ups(where)
    seconds = [seconds_of(lambda: model(images[:1], images[1:]), where)[0] for _ in range(warm + repeats)][warm:]
    return {"size": list(size), "seconds": spread(seconds)}


def _clip(model: TwinNetwork, where: torch.device, size: tuple[int, int], frames: int, repeats: int) -> dict[str, object]:
    """Seconds of a clip's pairs with images encoded once, and pair by pair; in turn, and their ratio."""
    images = _images(frames, size, where)
    once, twice, difference, warm = [], [], 0.0, warm_ups(where)
    for _ in range(warm + repeats):
        fast, together = seconds_of(lambda: pair_maps(model, images[None], pairs_at_once=1), where)
        slow, apart = seconds_of(lambda: [model(images[:1] * 2 - 1, image[None] * 2 - 1) for image in images], where)
        once.append(fast)
        twice.append(slow)
        for name in OUTPUTS:
            one_by_one = torch.cat([getattr(pair, name) for pair in apart])
            difference = max(difference, float((getattr(together, name) - one_by_one).abs().max()))
    once, twice = once[warm:], twice[warm:]
    return {
        "size": list(size),
        "frames": frames,
        "encoded_once_s": spread(once),
        "pair_by_pair_s": spread(twice),
        "ratio": round(statistics.median(slow / fast for fast, slow in zip(once, twice, strict=True)), 3),
        "largest_difference": difference,
    }


def _images(count: int, size: tuple[int, int], where: torch.device) -> torch.Tensor:
    """Noise "count 3 H W" in [0, 1]."""
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0)).to(where)


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
    typer.echo(json.dumps({**results, "machine": {**machine(), "torch": torch.__version__, "device": device}}, indent=1))


if __name__ == "__main__":
    typer.run(main)
