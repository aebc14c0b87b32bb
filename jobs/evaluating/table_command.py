"""The command `evaluate table`: one of the paper's tables."""

from typing import Annotated

import typer

from jobs import options
from jobs.console import error_exit, print_summary, run_job, say_unexpected
from jobs.evaluating.model_stage import OTHER_SOURCE
from jobs.evaluating.paper_tables import DATASETS, TABLES
from jobs.evaluating.table_job import TableConfig, TableEvaluation, evaluate_table
from jobs.evaluating.table_report import print_table, table_csv, table_document, table_summary
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.tables import write_document

DOCUMENT = "paper_table"


def table_command(
    number: Annotated[int, typer.Argument(metavar="N", help="; ".join(f"{one.number}: {one.title}" for one in TABLES.values()))],
    checkpoint: Annotated[list[str], typer.Option(help="Model, a row each: a path, hf://org/repo/file, or a URL; repeat it.")],
    root: Annotated[
        list[str],
        typer.Option(metavar="NAME=PATH", help=f"Dataset as jobs/convert.py made it; repeat it. Names: {', '.join(DATASETS)}."),
    ],
    out: Annotated[
        str | None,
        typer.Option(help="Folder or URL for table_N.json (the values of every clip), .csv.", show_default="nothing is written"),
    ] = None,
    pixels: Annotated[
        int | None, typer.Option(help="Pixels of a frame as the model sees it, at most.", show_default="as the protocol has it")
    ] = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    executor: options.Executor = "inline",
    num_gpus_per_worker: options.NumGpusPerWorker = 0.0,
    clip_time_limit: options.ClipTimeLimit = 3600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
) -> None:  # fmt: skip
    """Checkpoints by the protocols of one of TrajVG's tables, beside the paper's rows."""

    def body() -> int:
        config = TableConfig(
            number=number,
            checkpoints=tuple(checkpoint),
            roots=named_roots(root),
            pixels=pixels,
            device=device,
            precision=precision,
            out=None if out is None else storage.absolute(out),
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            num_gpus_per_worker=num_gpus_per_worker,
        )
        evaluation = evaluate_table(config)
        print_table(evaluation)
        if config.out is not None:
            write_table_files(config.out, evaluation)
        print_summary(f"table {number}", table_summary(evaluation, out))
        for one in evaluation.evaluations:
            say_unexpected(one.unexpected)
        found = evaluation.evaluations
        errors = sum(len({error.key for error in one.clip_errors}) + one.num_unreadable for one in found)
        total = sum(one.num_clips - one.left_out.get(OTHER_SOURCE, 0) for one in found)
        return error_exit(errors, total, max_error_rate, see="the warnings above")

    run_job(body)


def named_roots(pairs: list[str]) -> dict[str, str]:
    """`NAME=PATH` pairs as a mapping. Raises: ConfigError."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise ConfigError(f"--root {pair!r} names no dataset; write NAME=PATH, with NAME one of {', '.join(DATASETS)}")
        if name in found:
            raise ConfigError(f"--root {name} was given twice; each dataset has one root")
        found[name] = path
    return found


def write_table_files(folder: str, evaluation: TableEvaluation) -> None:
    """Publish table_N.json and table_N.csv."""
    stem = storage.join(folder, f"table_{evaluation.config.number}")
    write_document(f"{stem}.json", table_document(evaluation), DOCUMENT)
    storage.publish_bytes(f"{stem}.csv", table_csv(evaluation).encode())
