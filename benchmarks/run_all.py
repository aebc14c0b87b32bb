"""Run every benchmark in a process of its own, one after the other, and keep the JSON of each: `make bench`."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

HERE = Path(__file__).parent
BENCHMARKS = ("sharding", "labeling", "stream", "label_accuracy", "cotracker3")


def main(out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("out/bench/results")) -> None:
    """Print and keep what each benchmark says."""
    out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in BENCHMARKS:
        typer.echo(f"{name} ...", err=True)
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py")], stdout=subprocess.PIPE, text=True, check=False)
        typer.echo(done.stdout)
        (out / f"{name}.json").write_text(done.stdout)
        failed += [name] if done.returncode else []
    typer.echo("label_size.py needs a folder of real videos: python benchmarks/label_size.py --videos FOLDER", err=True)
    typer.echo("query_frames.py is run by hand: python benchmarks/query_frames.py rendered, or real FOLDER", err=True)
    typer.echo("metrics_live.py needs evo and tapnet, in an environment of its own: python benchmarks/metrics_live.py", err=True)
    typer.echo("adaptation.py renders, labels and trains for an hour or two: python benchmarks/adaptation.py", err=True)
    typer.echo("self_supervision.py, then loss_ablation.py, train for two hours each: python benchmarks/NAME", err=True)
    typer.echo("visibility_fit.py renders for minutes; refiner_gate.py, then teacher_loop.py, train for an hour each", err=True)
    typer.echo("st4rtrack_forward.py and track4world_forward.py compute at full size, minutes on a CPU: python benchmarks/NAME", err=True)
    typer.echo("gpu_suite.py wants a GPU for eight minutes: python benchmarks/gpu_suite.py", err=True)
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
