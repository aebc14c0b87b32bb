"""A run's curves and pictures on Weights & Biases. Needs the extra `wandb`."""

import secrets
from collections.abc import Mapping
from types import ModuleType
from typing import cast

import numpy as np

from pipeline import storage
from pipeline.errors import ConfigError, install_command
from trainer.loop.config import WandbSettings
from trainer.loop.loggers import OpenLogger, RunInfo

_STEP = "step"  # the axis of all curves


def wandb_opener(settings: WandbSettings) -> OpenLogger:
    """What opens the run of Weights & Biases. Raises: ConfigError if the package is missing."""
    try:
        import wandb
    except ImportError as error:
        raise ConfigError(f"logs.wandb needs the extra: {install_command('wandb')}; or set it to null") from error
    package = cast(ModuleType, wandb)
    return lambda run: WandbLogger(package, settings, run)


class WandbLogger:
    """A `Logger` on Weights & Biases. The run's id lies in OUT/wandb_run_id.txt, so that a resumed training goes on with it."""

    def __init__(self, package: ModuleType, settings: WandbSettings, run: RunInfo) -> None:
        """Raises: ConfigError, with what the service says, if the run cannot begin."""
        self._package = package
        try:
            self._run = package.init(
                project=settings.project,
                entity=settings.entity,
                name=settings.name,
                group=settings.group,
                tags=list(settings.tags),
                mode=settings.mode,
                id=_run_id(run.out),
                resume="allow",
                dir=storage.absolute(run.out) if storage.is_local(run.out) else None,
                config=dict(run.config),
            )
        except package.Error as error:
            raise ConfigError(
                f"logs.wandb: {str(error).rstrip('.')}; run `wandb login`, or set logs.wandb.mode to offline and `wandb sync` later"
            ) from error
        self._run.define_metric(_STEP)
        self._run.define_metric("*", step_metric=_STEP)

    def add_values(self, values: Mapping[str, float], step: int) -> None:
        """See `Logger`."""
        self._run.log({**values, _STEP: step})

    def add_pictures(self, pictures: Mapping[str, np.ndarray], step: int) -> None:
        """See `Logger`."""
        self._run.log({**{name: self._package.Image(picture) for name, picture in pictures.items()}, _STEP: step})

    def close(self, *, failed: bool) -> None:
        """Send what is left, and mark the run as finished or failed."""
        self._run.finish(exit_code=int(failed))


def _run_id(out: str) -> str:
    """Id of the run, the same as long as its folder is there."""
    uri = storage.join(out, "wandb_run_id.txt")
    if not storage.exists(uri):
        storage.publish_bytes(uri, secrets.token_hex(4).encode())
    return storage.read_bytes(uri).decode().strip()
