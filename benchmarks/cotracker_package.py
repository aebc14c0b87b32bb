"""Our CoTracker3 engine and the public `cotracker` package side by side on the same checkpoint: how far apart, and how fast."""

import json
from dataclasses import replace
from typing import Annotated

import torch
import typer
from cotracker3 import compare
from cotracker3_sides import CASES, Settings, package_is_installed
from material import machine

from labelers.cotracker_package import INSTALL


def main(
    checkpoint: Annotated[
        str | None, typer.Option(help="Path or hf:// address for the cases' model; weights by formula if not given.")
    ] = None,
    cases: Annotated[str, typer.Option(help=f"Of {', '.join(CASES)}; separated by commas.")] = "backward-100",
    frames: Annotated[int, typer.Option(help="Frames per clip; 0: the case's own.")] = 0,
    threads: Annotated[int, typer.Option(help="Of torch, on the CPU.")] = 2,
    repeats: Annotated[int, typer.Option(help="Pairs of timed runs; 0: outputs only.")] = 3,
    device: Annotated[str, typer.Option(help="As torch names it.")] = "cpu",
) -> None:
    """Print one JSON. Booleans are compared by the package's own rules."""
    unknown = [name for name in cases.split(",") if name not in CASES]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: none of {', '.join(CASES)}")
    if not package_is_installed():
        typer.echo(
            f"the public cotracker package is not installed here, so there is nothing to compare with; install it with\n{INSTALL}", err=True
        )
        raise typer.Exit(2)
    torch.set_num_threads(threads)
    settings = Settings(device=device, checkpoint=checkpoint)
    results = {}
    for name in cases.split(","):
        case = replace(CASES[name], num_frames=frames) if frames else CASES[name]
        results[name] = compare(case, "package", settings, repeats=repeats)
    where = machine() | {"torch": torch.__version__, "threads": threads, "device": device}
    what = f"our engine against the public cotracker package, weights {checkpoint or 'by formula'}"
    print(json.dumps({"what": what, "results": results, "machine": where}, indent=1))


if __name__ == "__main__":
    typer.run(main)
