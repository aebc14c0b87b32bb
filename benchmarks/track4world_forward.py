"""Track4World at its public size with random weights: seconds and peak memory of its two parts, on one pair of frames.

`python benchmarks/track4world_forward.py` prints one JSON. Each case runs in a process of its own, whose peak is that case's: `geometry` is
the backbone (Pi3X) on the two frames, `decoder` the features and four iterations between them, on geometry that is given. Seconds are of
computing (of all threads together) on a CPU, and of the clock elsewhere.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import torch
import typer
from full_size import noise_network, peak_memory, seconds_of, spread, warm_ups
from material import machine

from labelers.track4world.config import EngineConfig
from labelers.track4world.engine import Track4WorldEngine
from networks.layers.computing import Precision
from networks.track4world.bundle import GeometryBundle, bundle_of_truth
from networks.track4world.network import Track4World

CASES = (("geometry", 200, 260), ("decoder", 200, 260), ("decoder", 384, 512))


def measure(
    part: str, height: int, width: int, *, precision: Precision, device: str, repeats: int, config: Mapping[str, Any] | None = None
) -> dict[str, object]:
    """One case in this process.

    Args:
        config: of the network but its backbone; None for the public size.
    """
    where = torch.device(device)
    model = noise_network("track4world", where, {**(config or {}), "backbone": "pi3x" if part == "geometry" else "none"})
    assert isinstance(model, Track4World)
    engine = Track4WorldEngine(model, EngineConfig(precision=precision))
    frames = np.random.default_rng(0).integers(0, 256, (2, height, width, 3)).astype(np.uint8)
    bundle = _wall(height, width, where, model.config.dim_feature)
    seconds, warm = [], warm_ups(where)
    with peak_memory(where) as memory, torch.inference_mode():
        for _ in range(warm + repeats):
            if part == "geometry":
                seconds.append(seconds_of(lambda: engine.geometry(frames), where)[0])
            else:
                seconds.append(seconds_of(lambda: list(engine.track_pairs(engine.encode(frames, bundle))), where)[0])
    return {"size": [height, width], "precision": precision, "seconds": spread(seconds[warm:]), **memory}


def _wall(height: int, width: int, where: torch.device, token_width: int) -> GeometryBundle:
    """Both frames of one camera before a wall."""
    intrinsics = torch.tensor([[width, 0, (width - 1) / 2], [0, width, (height - 1) / 2], [0, 0, 1]])
    poses = torch.eye(4).expand(1, 2, 4, 4)
    depth = torch.full((1, 2, height, width), 2.0)
    placed = (part.to(where) for part in (depth, intrinsics.expand(1, 2, 3, 3), poses))
    return bundle_of_truth(*placed, token_width=token_width)


def main(
    device: Annotated[str, typer.Option(help="cpu, cuda, or another of torch.")] = "cpu",
    precision: Annotated[Precision, typer.Option(help="float32 or bfloat16.")] = "float32",
    repeats: Annotated[int, typer.Option(help="Of every case.")] = 3,
    case: Annotated[int, typer.Option(hidden=True)] = -1,
) -> None:
    """Print one JSON."""
    if case >= 0:
        typer.echo(json.dumps(measure(*CASES[case], precision=precision, device=device, repeats=repeats)))
        return
    results = {}
    for number, (part, height, width) in enumerate(CASES):
        options = ("--case", str(number), "--precision", precision, "--device", device, "--repeats", str(repeats))
        done = subprocess.run([sys.executable, __file__, *options], stdout=subprocess.PIPE, text=True, check=True)
        results[f"{part} {height}x{width}"] = json.loads(done.stdout)
        typer.echo(f"{part} {height}x{width}: {done.stdout.strip()}", err=True)
    typer.echo(json.dumps({**results, "machine": {**machine(), "torch": torch.__version__, "device": device}}, indent=1))


if __name__ == "__main__":
    typer.run(main)
