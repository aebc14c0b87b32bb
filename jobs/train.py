"""Train a stage: `python jobs/train.py --config configs/tiny.yaml`, again with --resume after it was killed."""

import dataclasses
import importlib
from types import ModuleType
from typing import Annotated, cast

import typer

from jobs.console import run_job
from jobs.devices import choose_device
from jobs.execution.ray_session import num_gpus, ray_session
from jobs.training import StepLine, report_stage, report_training
from pipeline.errors import ConfigError
from trainer.loop import TrainConfig, TrainOutcome, read_config, train
from trainer.loop.step_report import ProcessRank

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def train_command(
    config: Annotated[str, typer.Option(help="Stage: tiny, small, trajvg_stage1, ... (shipped), or a YAML file of yours.")],
    out: Annotated[str | None, typer.Option(help="Folder or URL of the run; the file's `out` by default.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="Change a value: NAME.NAME=VALUE; give it again for more.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that train together. More than one, or --ray, needs Ray.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's newest checkpoint, if there is one.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes a GPU where there is one.")] = "auto",
    max_failures: Annotated[int, typer.Option(help="Times that a worker may die and all go on from the last checkpoint (with Ray).")] = 3,
    under_ray: Annotated[bool, typer.Option("--ray", help="Run one worker under Ray too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read the configuration, print what would be trained; write nothing.")] = False,
) -> None:  # fmt: skip
    """Train one stage to its end. Checkpoints, losses and the configuration lie in OUT."""

    def body() -> int:
        settings = read_config(config, change or ())
        if out is not None:
            settings = dataclasses.replace(settings, out=out)
        if workers < 1:
            raise ConfigError(f"--workers is {workers}, expected 1 or more")
        if dry_run:
            return report_stage(settings)
        with StepLine(settings) as line:
            if workers == 1 and not under_ray:
                outcome = train(settings, ProcessRank(device=choose_device(device)), resume=resume, on_step=line.tell)
            else:
                outcome = _train_under_ray(settings, workers, max_failures, device=device, resume=resume, line=line)
        return report_training(outcome, settings)

    run_job(body)


def _train_under_ray(settings: TrainConfig, number: int, max_failures: int, *, device: str, resume: bool, line: StepLine) -> TrainOutcome:
    ray_loop = _ray_loop()
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device is {device!r}; with Ray, which hands out the GPUs, it is auto, cpu or cuda")
    with ray_session():
        gpus = num_gpus() >= number if device == "auto" else device == "cuda"
        if gpus and num_gpus() < number:
            raise ConfigError(f"--workers {number} with a GPU each, and Ray has {num_gpus():g}; take fewer, or --device cpu")
        workers = ray_loop.TrainWorkers(number=number, gpus=gpus, max_failures=max_failures)
        return cast(TrainOutcome, ray_loop.train_with_ray(settings, workers, resume=resume, on_step=line.tell))


def _ray_loop() -> ModuleType:
    try:
        return importlib.import_module("trainer.ray_loop")
    except ImportError as error:
        raise ConfigError("training on several workers needs the extra: pip install 'trackmill[train]'; one worker does without") from error


if __name__ == "__main__":
    app()
