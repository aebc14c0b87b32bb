"""Peak memory of one side on one case, in a process of its own. Run by cotracker3.py; prints one JSON."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from cotracker3_sides import CASES, SIDES, Settings


def measure(side: str, case: str, settings: Settings, *, threads: int, frames: int) -> dict[str, float]:
    """Peak resident memory in MiB, of the process and above what imports alone take; on another device, also there.

    Raises: subprocess.CalledProcessError if the run fails; its own message is on stderr.
    """
    command = [sys.executable, __file__, side, case, json.dumps(asdict(settings)), str(threads), str(frames)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main(side: str, case: str, settings: str, threads: int, frames: Annotated[int, typer.Argument(help="0: the case's own.")] = 0) -> None:
    """Print one JSON."""
    torch.set_num_threads(threads)
    imports_mib = _peak_mib()
    chosen, how = CASES[case], Settings(**json.loads(settings))
    if frames:
        chosen = replace(chosen, num_frames=frames)
    run = SIDES[side](chosen, how)
    run(chosen.video(), chosen.queries())
    result = {"peak_mib": _peak_mib(), "above_imports_mib": round(_peak_mib() - imports_mib, 1)}
    if how.device != "cpu":
        device = torch.device(how.device)
        result["device_peak_mib"] = round(torch.get_device_module(device).max_memory_allocated(device) / 2**20, 1)
    print(json.dumps(result))


def _peak_mib() -> float:
    """The kernel's high-water mark of this program. getrusage would also count the process that started it, if that was larger."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024, 1)


if __name__ == "__main__":
    typer.run(main)
