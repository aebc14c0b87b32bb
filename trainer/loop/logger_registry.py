"""The loggers of a configuration: TensorBoard, Weights & Biases, and functions of one's own."""

import importlib
import logging

from pipeline.errors import ConfigError
from trainer.loop.config import TrainConfig, config_table
from trainer.loop.loggers import Logger, OpenLogger, RunInfo
from trainer.loop.tensorboard_logger import TensorBoardLogger, tensorboard_obstacle
from trainer.loop.wandb_logger import wandb_opener

_log = logging.getLogger(__name__)


def find_loggers(config: TrainConfig) -> tuple[OpenLogger, ...]:
    """What opens the loggers of a configuration; nothing is written yet.

    Raises: ConfigError for a logger that cannot be opened here, naming the extra or the function that is missing.
    """
    settings, found = config.logs, list[OpenLogger]()
    if settings.tensorboard is not False:
        obstacle = tensorboard_obstacle(config.out)
        if obstacle is None:
            found.append(TensorBoardLogger)
        elif settings.tensorboard:
            raise ConfigError(f"logs.tensorboard: {obstacle}; or set it to false")
        else:
            _log.info("no TensorBoard: %s", obstacle)
    if settings.wandb is not None:
        found.append(wandb_opener(settings.wandb))
    return (*found, *map(_load, settings.loggers))


def open_loggers(openers: tuple[OpenLogger, ...], config: TrainConfig, first_step: int) -> tuple[Logger, ...]:
    """Open them for a run."""
    run = RunInfo(out=config.out, first_step=first_step, config=config_table(config))
    return tuple(opener(run) for opener in openers)


def _load(place: str) -> OpenLogger:
    """The function or class that "package.module:name" names, which takes a `RunInfo` and returns a `Logger`."""
    module, colon, name = place.partition(":")
    if not (module and colon and name):
        raise ConfigError(f"logs.loggers: {place!r} is no place of a function; write package.module:function")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise ConfigError(f"logs.loggers: {place}: {error}; install the package, or add its folder to PYTHONPATH") from error
    if not callable(found):
        raise ConfigError(f"logs.loggers: {place}: the module has no function {name}; it takes a RunInfo and returns a Logger")
    opener: OpenLogger = found
    return opener
