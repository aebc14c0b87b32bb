"""Train a stage: `python jobs/train.py --config configs/tiny.yaml`, again with --resume after it was killed."""

import dataclasses
import importlib
from types import ModuleType
from typing import Annotated, cast

import typer

from jobs import options
from jobs.console import run_job
from jobs.devices import choose_device
from jobs.execution.ray_session import num_gpus, ray_session
from jobs.training import StepLine, report_stage, report_training
from pipeline.errors import ConfigError, install_command
from trainer.loop import TrainConfig, TrainOutcome, read_config, train
from trainer.loop.config import with_absolute_paths
from trainer.loop.step_report import ProcessRank

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    cls=options.command_of(
        "--config configs/tiny.yaml --set data.labelled.0.root=/data/studio --dry-run",
        "--config configs/tiny.yaml --num-workers 2 --resume",
        former={"--workers": "--num-workers", "--ray": "--executor ray"},
    )
)
def train_command(
    config: Annotated[str, typer.Option(help="Stage: tiny, small, trajvg_stage1, ... (shipped), or a YAML file of yours.")],
    out: Annotated[str | None, typer.Option(help="Folder or URL of the run.", show_default="`out` of the file")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME.NAME=VALUE", help="Change a value of the file; repeat it.", show_default="as in the file"),
    ] = None,
    num_workers: Annotated[
        int, typer.Option(help="Processes that train together. More than one needs Ray (the train extra).", rich_help_panel=options.RAY)
    ] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's newest checkpoint, if there is one.")] = False,
    device: options.Device = "auto",
    max_failures: Annotated[
        int,
        typer.Option(
            help="Times that a worker may die and all go on from the last checkpoint (with Ray).", rich_help_panel=options.RAY
        ),
    ] = 3,
    executor: Annotated[
        options.ExecutorName | None,
        typer.Option(
            help="ray: Ray starts the workers; inline: this process trains.",
            show_default="inline for one worker, ray for more",
            rich_help_panel=options.RAY,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read the configuration, print what would be trained; write nothing.")] = False,
) -> None:  # fmt: skip
    """Train one stage to its end. Checkpoints, losses and the configuration lie in OUT."""

    def body() -> int:
        settings = read_config(config, change or ())
        if out is not None:
            settings = dataclasses.replace(settings, out=out)
        settings = with_absolute_paths(settings)  # Ray's workers have a working directory of their own
        if num_workers < 1:
            raise ConfigError(f"--num-workers is {num_workers}, expected 1 or more")
        if executor == "inline" and num_workers > 1:
            raise ConfigError("--executor inline has one worker; use --executor ray for more")
        if dry_run:
            return report_stage(settings)
        with StepLine(settings) as line:
            if num_workers == 1 and executor != "ray":
                outcome = train(settings, ProcessRank(device=choose_device(device)), resume=resume, on_step=line.tell)
            else:
                outcome = _train_under_ray(settings, num_workers, max_failures, device=device, resume=resume, line=line)
        return report_training(outcome, settings)

    run_job(body, to_continue="run the same command again with --resume to continue")


def _train_under_ray(settings: TrainConfig, number: int, max_failures: int, *, device: str, resume: bool, line: StepLine) -> TrainOutcome:
    ray_loop = _ray_loop()
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device is {device!r}; with Ray, which hands out the GPUs, it is auto, cpu or cuda")
    with ray_session():
        gpus = num_gpus() >= number if device == "auto" else device == "cuda"
        if gpus and num_gpus() < number:
            raise ConfigError(f"--num-workers {number} with a GPU each, and Ray has {num_gpus():g}; take fewer, or --device cpu")
        workers = ray_loop.TrainWorkers(number=number, gpus=gpus, max_failures=max_failures)
        try:
            return cast(TrainOutcome, ray_loop.train_with_ray(settings, workers, resume=resume, on_step=line.tell))
        except SystemExit as error:  # Ray Train answers Ctrl-C by leaving Python
            raise KeyboardInterrupt from error


def _ray_loop() -> ModuleType:
    try:
        return importlib.import_module("trainer.ray_loop")
    except ImportError as error:
        raise ConfigError(f"training on several workers needs the extra: {install_command('train')}; one worker does without") from error


if __name__ == "__main__":
    app()
