"""Training on several processes under Ray Train. When a process dies, all restart at the newest checkpoint."""

import os
import pickle
import tempfile
from dataclasses import dataclass
from typing import Any, cast

import ray
import ray.train
import ray.train.torch
import torch

from pipeline.errors import TrackmillError
from trainer.data.workers import available_cpus
from trainer.loop.config import TrainConfig
from trainer.loop.logs import OnStep
from trainer.loop.run import TrainOutcome, saved_state, train
from trainer.loop.step_report import ProcessRank
from trainer.ray_results import ReportForwarder, RunResults


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
    results: Any = ray.remote(RunResults).options(num_cpus=0).remote()
    with tempfile.TemporaryDirectory(prefix="trackmill-train-") as folder, ReportForwarder(results, on_step):
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
    return cast(TrainOutcome, pickle.loads(outcome))


def _worker_error(results: Any) -> TrackmillError | None:
    """The error that a worker recorded before it failed."""
    error = ray.get(results.error.remote())
    return None if error is None else cast(TrackmillError, pickle.loads(error))


def _cpus_of_node() -> int:
    """CPUs of this node: those that Ray counts there, as far as this process may use them."""
    here = ray.get_runtime_context().get_node_id()
    counted = next(node["Resources"].get("CPU", 1) for node in ray.nodes() if node["NodeID"] == here)
    return min(int(counted), available_cpus())


def _worker(settings: dict[str, Any]) -> None:
    """Training in one process.

    An error of trackmill would come again after a restart, so it is recorded, and a restarted process that finds it ends at once.
    """
    config, results = settings["config"], settings["results"]
    context = ray.train.get_context()
    process = ProcessRank(
        device=ray.train.torch.get_device(),
        rank=context.get_world_rank(),
        world_size=context.get_world_size(),
        cpus=_cpus_of_node() // context.get_local_world_size(),
    )
    if process.device.type == "cpu":
        torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
    if ray.get(results.error.remote()) is not None:  # restarted after another process had failed
        return
    try:
        outcome = train(config, process, resume=True, on_step=lambda report: results.add_report.remote(pickle.dumps(report)))
    except TrackmillError as error:
        ray.get(results.set_error.remote(pickle.dumps(error)))
        raise  # or the other processes would wait for this one
    if process.leads:
        ray.get(results.set_outcome.remote(pickle.dumps(outcome)))


def _reason(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
