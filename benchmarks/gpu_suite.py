"""Everything that wants a GPU, in one command of at most eight minutes: `python benchmarks/gpu_suite.py`.

CoTracker3 against the plain reference (parity, speed, bfloat16's drift), TrajVG's full-size training step, data parallelism over one
device, Track4World and St4RTrack on a pair. Each part runs in a process of its own; one that fails is shown with its error, the others go
on, and the command ends with 1. Writes gpu_suite.json and gpu_suite.md, and prints the latter. `--toy --device cpu` tries the command.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from gpu_suite_part import PARTS
from gpu_suite_rows import PartResult, SuiteOptions, report_table, report_text

HERE = Path(__file__).parent
Runner = Callable[[str, SuiteOptions, float], PartResult]  # of a part, within so many seconds


def main(
    device: Annotated[str | None, typer.Option(help="cuda, cuda:1, or another of torch; cpu must be asked for. Default: the GPU.")] = None,
    toy: Annotated[bool, typer.Option("--toy", help="Toy sizes: tries the command, measures nothing.")] = False,
    parts: Annotated[str, typer.Option(help="Separated by commas.")] = ",".join(PARTS),
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("out/bench/gpu_suite"),
    repeats: Annotated[int, typer.Option(help="Of whatever is timed.", min=1)] = 3,
    checkpoint: Annotated[str | None, typer.Option(help="Weights of CoTracker3's offline model; by formula if not given.")] = None,
    peak_tflops: Annotated[
        float | None, typer.Option(help="Of the device in bfloat16, for MFU; that of a known card if not given.")
    ] = None,
    limit_s: Annotated[float, typer.Option(help="Seconds for all parts; what does not fit fails.")] = 480.0,
) -> None:
    """Run the parts, write both files, print the table."""
    names = parts.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise typer.BadParameter(f"--parts: {', '.join(unknown)}: none of {', '.join(PARTS)}")
    options = SuiteOptions(device=chosen_device(device), toy=toy, repeats=repeats, checkpoint=checkpoint, peak_tflops=peak_tflops)
    if not run_suite(names, options, out, limit_s=limit_s):
        raise typer.Exit(1)


def chosen_device(asked: str | None) -> str:
    """The device to measure. Raises: typer.BadParameter if torch does not see it, or if there is no GPU and none was asked for."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    seen = f"torch {torch.__version__} sees {'no GPU' if found is None else f'{torch.accelerator.device_count()} of {found.type}'} here"
    if asked is None:
        if found is None:
            raise typer.BadParameter(
                f"{seen}; install a torch built for the GPU, or ask for the CPU by --device cpu (with --toy, or it takes hours)"
            )
        return found.type
    try:
        wanted = torch.device(asked)
    except RuntimeError as error:
        raise typer.BadParameter(f"--device {asked}: {str(error).splitlines()[0]}") from error
    if wanted.type != "cpu" and (found is None or wanted.type != found.type or (wanted.index or 0) >= torch.accelerator.device_count()):
        raise typer.BadParameter(f"--device {asked}: {seen}")
    return asked


def run_suite(parts: Sequence[str], options: SuiteOptions, out: Path, *, limit_s: float, run: Runner | None = None) -> bool:
    """Whether all went well. Both files are written after every part, so that nothing is lost if the command is stopped."""
    out.mkdir(parents=True, exist_ok=True)
    ends, results = time.monotonic() + limit_s, []
    for part in parts:
        typer.echo(f"{part} ...", err=True)
        results.append((run or run_apart)(part, options, ends - time.monotonic()))
        (out / "gpu_suite.json").write_text(json.dumps(report_table(options, results), indent=1))
        (out / "gpu_suite.md").write_text(report_text(options, results))
    typer.echo(report_text(options, results))
    return not any(fault for result in results for fault in result.faults())


def run_apart(part: str, options: SuiteOptions, limit_s: float) -> PartResult:
    """Run a part in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="trackmill-gpu-suite-") as folder:
        file = Path(folder) / "result.json"
        command = [sys.executable, str(HERE / "gpu_suite_part.py"), part, json.dumps(asdict(options)), str(file)]
        return result_of(part, command, file, limit_s)


def result_of(part: str, command: Sequence[str], file: Path, limit_s: float) -> PartResult:
    """Result that a command writes to a file; if it writes none, its end is the error."""
    began = time.perf_counter()
    if limit_s <= 0:
        return PartResult(part=part, seconds=0.0, error="not run: the time for all parts is over; raise --limit-s, or choose --parts")
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=limit_s, check=False)
        last = done.stderr.strip().rpartition("\n")[2]
        error = f"the process ended with {done.returncode} and no result: {last}\n{done.stderr}"
    except subprocess.TimeoutExpired:
        error = f"stopped after {limit_s:.0f} s: the time for all parts is over; raise --limit-s, or choose --parts"
    seconds = round(time.perf_counter() - began, 1)
    if not file.exists():
        return PartResult(part=part, seconds=seconds, error=error)
    return PartResult.of_table({**json.loads(file.read_text()), "seconds": seconds})


if __name__ == "__main__":
    typer.run(main)
