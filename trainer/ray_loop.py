"""The loop on several processes under Ray Train; a process that dies makes all begin again at the newest checkpoint."""

import logging
import os
import tempfile
import threading
from collections.abc import Callable
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
class Workers:
    """How many processes train, and on what."""

    number: int
    gpus: bool = False  # one for each
    cpus_each: float = 1.0
    max_failures: int = 3  # times that a process may die before the run is given up


def train_with_ray(config: TrainConfig, workers: Workers, *, resume: bool = False, on_step: OnStep | None = None) -> TrainOutcome:
    """Train a stage on several processes of the Ray that is connected. Errors of ours arrive as themselves.

    Args:
        resume: as for `train`; a run that lost a process goes on by itself.
        on_step: is told of every step here, a second late.
    """
    saved_state(config, resume=resume)  # a user's mistake is said before anything starts
    board: Any = ray.remote(_Board).options(num_cpus=0).remote()
    with tempfile.TemporaryDirectory(prefix="trackmill-train-") as folder, _Telling(board, on_step):
        trainer = ray.train.torch.TorchTrainer(
            _worker,
            train_loop_config={"config": config, "board": board},
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
            raise _ours(board) or TrackmillError(f"training failed on Ray: {_reason(error)}; go on with --resume") from error
        if (ours := _ours(board)) is not None:
            raise ours
    outcome = ray.get(board.outcome.remote())
    if outcome is None:
        raise TrackmillError("training on Ray ended without an outcome; see the workers' logs in Ray's session folder")
    return cast(TrainOutcome, outcome)


def _ours(board: Any) -> TrackmillError | None:
    """The error that a worker left behind."""
    return cast(TrackmillError | None, ray.get(board.error.remote()))


class _Board:
    """Where the leading worker writes and the driver reads."""

    def __init__(self) -> None:
        self._reports: list[StepReport] = []
        self._outcome: TrainOutcome | None = None
        self._error: TrackmillError | None = None

    def tell(self, report: StepReport) -> None:
        self._reports.append(report)

    def take(self) -> list[StepReport]:
        reports, self._reports = self._reports, []
        return reports

    def finish(self, outcome: TrainOutcome) -> None:
        self._outcome = outcome

    def fail(self, error: TrackmillError) -> None:
        self._error = error

    def outcome(self) -> TrainOutcome | None:
        return self._outcome

    def error(self) -> TrackmillError | None:
        return self._error


class _Telling:
    """Passes reports on while the block lasts."""

    def __init__(self, board: Any, on_step: OnStep | None) -> None:
        self._board, self._on_step = board, on_step
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *unused: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            over = self._over.wait(_POLL_S)
            for report in ray.get(self._board.take.remote()):
                if self._on_step is not None:
                    self._on_step(report)
            if over:
                return


def _worker(settings: dict[str, Any]) -> None:
    """One process's share. An error of ours would be the same after a new start: what begins anew finds it on the board, and ends."""
    config, board = settings["config"], settings["board"]
    context = ray.train.get_context()
    process = ProcessRank(device=ray.train.torch.get_device(), rank=context.get_world_rank(), world_size=context.get_world_size())
    if process.device.type == "cpu":
        torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
    if ray.get(board.error.remote()) is not None:  # begun anew after another process had failed so
        return
    tell: Callable[[StepReport], None] = board.tell.remote
    try:
        outcome = train(config, process, resume=True, on_step=tell)
    except TrackmillError as error:
        ray.get(board.fail.remote(error))
        raise  # or the other processes would wait for this one
    if process.leads:
        ray.get(board.finish.remote(outcome))


def _reason(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
