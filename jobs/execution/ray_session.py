"""A Ray to run on: the one that RAY_ADDRESS names (also set by `ray job submit`), or a local one of our own."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from jobs.console import set_up_logging
from jobs.execution.ray_environment import code_environment, ray_facts
from pipeline.errors import StorageError

_OBJECT_STORE_BYTES = 256 * 2**20  # labels of a few shards; video bytes do not pass through it
_WAITING = 8  # tasks: an autoscaler starts nodes only for what is pending, also on a cluster that has no worker yet


@contextmanager
def ray_session() -> Iterator[None]:
    """Connect to, or start, Ray; leave it as it was found. Raises StorageError if the cluster cannot be reached."""
    if ray.is_initialized():
        yield
        return
    try:
        _connect()
    except (ConnectionError, RuntimeError) as error:
        raise StorageError(f"cannot connect to Ray at {os.environ.get('RAY_ADDRESS', 'a local address')}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _connect() -> None:
    facts = ray_facts()
    environment = {"worker_process_setup_hook": set_up_logging, **code_environment(facts)}
    if facts.address:
        ray.init(logging_level=logging.WARNING, runtime_env=environment)
        return
    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        logging_level=logging.WARNING,
        log_to_driver=False,
        runtime_env=environment,
    )


def num_cpus() -> int:
    """CPUs of the whole cluster."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def may_grow() -> bool:
    """Whether nodes may come up for work that waits: on a cluster that was given to us; a local Ray of our own has one node for ever."""
    return bool(os.environ.get("RAY_ADDRESS"))


def num_in_flight(gpus_per_task: float = 0.0) -> int:
    """Tasks of one CPU to have in flight now: as many as there is room for, where the cluster may grow as many again and a few, which
    wait for nodes.
    """
    room = min(num_cpus(), int(num_gpus() / gpus_per_task)) if gpus_per_task else num_cpus()
    return room * 2 + _WAITING if may_grow() else room


def num_gpus() -> float:
    """GPUs of the whole cluster."""
    return float(ray.cluster_resources().get("GPU", 0))
