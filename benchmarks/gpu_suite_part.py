"""One part of the GPU suite in this process. Run by gpu_suite.py in a process of its own: `gpu_suite_part.py PART OPTIONS FILE`."""

import json
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from gpu_suite_rows import PartResult, Row, SuiteOptions

from pipeline.records.factories import load_factory

Part = Callable[[SuiteOptions], Iterator[Row]]

# A part's module is imported where it runs: one that cannot be imported fails alone. Compiling comes last, since it may take long.
PARTS = {
    "device": "gpu_suite_pairs:matrix_products",
    "cotracker3-parity": "gpu_suite_cotracker3:parity",
    "cotracker3-speed": "gpu_suite_cotracker3:speed",
    "cotracker3-drift": "gpu_suite_cotracker3:precision_drift",
    "trajvg-step": "gpu_suite_training:training_steps",
    "ddp": "gpu_suite_training:data_parallel",
    "track4world": "gpu_suite_pairs:track4world",
    "st4rtrack": "gpu_suite_pairs:st4rtrack",
    "cotracker3-compiled": "gpu_suite_cotracker3:compiled_speed",
    "trajvg-compiled": "gpu_suite_training:compiled_steps",
}


def run_here(part: str, options: SuiteOptions) -> PartResult:
    """Run a part in this process; whatever it raises is its result, with the rows before it."""
    began = time.perf_counter()
    rows: list[Row] = []
    error, machine = None, {}
    try:
        measure: Part = load_factory(PARTS[part], "part")
        machine = describe_machine(options.device)
        rows += measure(options)
    except Exception as found:  # noqa: BLE001  the other parts go on, and this one is shown with its error
        error = f"{type(found).__name__}: {found}\n{traceback.format_exc()}"
    return PartResult(part=part, seconds=round(time.perf_counter() - began, 1), rows=tuple(rows), error=error, machine=machine)


def describe_machine(device: str) -> dict[str, Any]:
    """Device, driver's and torch's versions, and the rest."""
    import torch
    from material import machine

    where = torch.device(device)
    named = {"device": device}
    if where.type != "cpu":
        properties = torch.get_device_module(where).get_device_properties(where)
        named = {"device": properties.name, "device_memory_gib": round(properties.total_memory / 2**30, 1)}
    return {**named, "torch": torch.__version__, "cuda": torch.version.cuda, **machine()}


def main(part: str, options: str, file: Path) -> None:
    """Write the result as JSON."""
    result = run_here(part, SuiteOptions(**json.loads(options)))
    file.write_text(json.dumps(asdict(result)))


if __name__ == "__main__":
    typer.run(main)
