"""Device of a labelling worker."""

from collections.abc import Mapping
from typing import Any

from labelers.registry import labeler_options
from pipeline.errors import ConfigError

DEVICE = "device"  # the option by which a labeler is told where to compute; it is no part of a label set's identity


def options_on_driver(options: Mapping[str, Any]) -> dict[str, Any]:
    """The labeler's options where it is made only to be asked who it is: never on another device than the CPU."""
    return {**options, DEVICE: "cpu"} if DEVICE in options else dict(options)


def options_on_worker(labeler: str, options: Mapping[str, Any], *, num_gpus: float) -> dict[str, Any]:
    """The labeler's options where it works: on a GPU if the worker is granted one; a device that the user names is kept.

    Raises: ConfigError if GPUs are asked for a labeler that cannot use one.
    """
    if DEVICE in options or not num_gpus:
        return dict(options)
    if DEVICE not in labeler_options(labeler):
        raise ConfigError(
            f"labeler {labeler} runs on the CPU (it has no option {DEVICE}), so a GPU would stand idle; leave --num-gpus-per-worker away"
        )
    return {**options, DEVICE: "cuda"}


def check_device(options: Mapping[str, Any]) -> None:
    """Put a number on the device that the labeler is to use. Raises: ConfigError if torch cannot, so that no clip pays for it."""
    device = options.get(DEVICE, "cpu")
    if device == "cpu":
        return
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises either, by kind of device and build
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(
            f"torch {torch.__version__} has no device {device!r} for the labeler on this machine ({reason}); install a torch build"
            " for it and check its driver, grant GPUs with --num-gpus-per-worker, or label on the CPU without that option"
        ) from error
