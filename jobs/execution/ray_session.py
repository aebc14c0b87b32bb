"""A Ray to run on: the one that RAY_ADDRESS names (also set by `ray job submit`), or a local one of our own."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray
import typer

from jobs.execution.ray_environment import code_environment, ray_facts, set_up_worker
from pipeline.errors import StorageError

_OBJECT_STORE_BYTES = 256 * 2**20  # labels of a few shards; video bytes do not pass through it
_WAITING = 8  # tasks: an autoscaler starts nodes only for what is pending, also on a cluster that has no worker yet


@contextmanager
def ray_session() -> Iterator[None]:
    """Connect to, or start, Ray, and say so; leave it as it was found. Raises StorageError if the cluster cannot be reached."""
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    typer.echo(f"connecting to Ray at {address} ..." if address else "starting Ray on this machine ...", err=True)
    try:
        try:
            with _keeping_sigterm(), _without_token_notice():
                _connect()
        except (ConnectionError, RuntimeError) as error:
            raise StorageError(f"cannot connect to Ray at {address or 'a local address'}: {error}") from error
        yield
    finally:
        ray.shutdown()


@contextmanager
def _keeping_sigterm() -> Iterator[None]:
    """Ray takes SIGTERM for itself, and leaves Python when it comes; here it means what it means in the rest of the job."""
    before, left = signal.getsignal(signal.SIGTERM), False
    try:
        yield
    except SystemExit as error:
        left = error.code == signal.SIGTERM
        if not left:
            raise
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
    if left:
        signal.raise_signal(signal.SIGTERM)


@contextmanager
def _without_token_notice() -> Iterator[None]:
    """Leave out Ray's notice that a cluster which it starts asks for a token: ours does so by itself, and ends with the job."""
    notices = logging.getLogger("ray._private.authentication.authentication_token_setup")
    before = notices.level
    notices.setLevel(logging.ERROR)
    try:
        yield
    finally:
        notices.setLevel(before)


def _connect() -> None:
    facts = ray_facts()
    environment = {"worker_process_setup_hook": set_up_worker, **code_environment(facts)}
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
