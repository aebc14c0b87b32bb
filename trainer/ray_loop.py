"""Training on several processes under Ray Train. When a process dies, all restart at the newest checkpoint."""

import logging
import os
import tempfile
import threading
from dataclasses import dataclass
from typing import Any, cast

import ray
import ray.train
import ray.train.torch
import torch

from pipeline.errors import TrackmillError
from trainer.loop.config import TrainConfig
from trainer.loop.logs import OnStep
from trainer.loop.run import TrainOutcome, saved_state, train
from trainer.loop.step_report import ProcessRank, StepReport

_log = logging.getLogger(__name__)
_POLL_S = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainWorkers:
    """Number of training processes, and the resources of each."""

    number: int
    gpus: bool = False  # one per process
    cpus_each: float = 1.0
    max_failures: int = 3  # deaths of a process before the run is given up


def train_with_ray(config: TrainConfig, workers: TrainWorkers, *, resume: bool = False, on_step: OnStep | None = None) -> TrainOutcome:
    """Train a stage on several processes of the Ray that is connected. Errors of trackmill arrive under their own types.

    Args:
        resume: as for `train`; a run that lost a process resumes by itself.
        on_step: called here with every step's report, up to a second late.
    """
    saved_state(config, resume=resume)  # raises for a user's mistake before anything starts
    results: Any = ray.remote(_RunResults).options(num_cpus=0).remote()
    with tempfile.TemporaryDirectory(prefix="trackmill-train-") as folder, _ReportForwarder(results, on_step):
        trainer = ray.train.torch.TorchTrainer(
            _worker,
            train_loop_config={"config": config, "results": results},
            scaling_config=ray.train.ScalingConfig(
                num_workers=workers.number,
                use_gpu=workers.gpus,
                resources_per_worker={"CPU": workers.cpus_each, **({"GPU": 1} if workers.gpus else {})},
            ),
            run_config=ray.train.RunConfig(
                name="train",
                storage_path=folder,  # Ray's own notes; checkpoints are the loop's, in config.out
                failure_config=ray.train.FailureConfig(max_failures=workers.max_failures),
            ),
        )
        try:
            trainer.fit()
        except ray.train.TrainingFailedError as error:
            raise _worker_error(results) or TrackmillError(f"training failed on Ray: {_reason(error)}; go on with --resume") from error
        if (error_of_worker := _worker_error(results)) is not None:
            raise error_of_worker
    outcome = ray.get(results.outcome.remote())
    if outcome is None:
        raise TrackmillError("training on Ray ended without an outcome; see the workers' logs in Ray's session folder")
    return cast(TrainOutcome, outcome)


def _worker_error(results: Any) -> TrackmillError | None:
    """The error that a worker recorded before it failed."""
    return cast(TrackmillError | None, ray.get(results.error.remote()))


class _RunResults:
    """Actor through which the leading worker passes reports, outcome and error to the driver."""

    def __init__(self) -> None:
        self._reports: list[StepReport] = []
        self._outcome: TrainOutcome | None = None
        self._error: TrackmillError | None = None

    def add_report(self, report: StepReport) -> None:
        self._reports.append(report)

    def take_reports(self) -> list[StepReport]:
        reports, self._reports = self._reports, []
        return reports

    def set_outcome(self, outcome: TrainOutcome) -> None:
        self._outcome = outcome

    def set_error(self, error: TrackmillError) -> None:
        self._error = error

    def outcome(self) -> TrainOutcome | None:
        return self._outcome

    def error(self) -> TrackmillError | None:
        return self._error


class _ReportForwarder:
    """Thread that passes reports from the actor to a callback while the block lasts."""

    def __init__(self, results: Any, on_step: OnStep | None) -> None:
        self._results, self._on_step = results, on_step
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._forward, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *unused: object) -> None:
        self._over.set()
        self._thread.join()

    def _forward(self) -> None:
        while True:
            over = self._over.wait(_POLL_S)
            for report in ray.get(self._results.take_reports.remote()):
                if self._on_step is not None:
                    self._on_step(report)
            if over:
                return


def _worker(settings: dict[str, Any]) -> None:
    """Training in one process.

    An error of trackmill would come again after a restart, so it is recorded, and a restarted process that finds it ends at once.
    """
    config, results = settings["config"], settings["results"]
    context = ray.train.get_context()
    process = ProcessRank(device=ray.train.torch.get_device(), rank=context.get_world_rank(), world_size=context.get_world_size())
    if process.device.type == "cpu":
        torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
    if ray.get(results.error.remote()) is not None:  # restarted after another process had failed
        return
    add_report: OnStep = results.add_report.remote
    try:
        outcome = train(config, process, resume=True, on_step=add_report)
    except TrackmillError as error:
        ray.get(results.set_error.remote(error))
        raise  # or the other processes would wait for this one
    if process.leads:
        ray.get(results.set_outcome.remote(outcome))


def _reason(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
