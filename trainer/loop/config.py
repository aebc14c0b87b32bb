"""Everything that a stage of training is: data, network, what is frozen, losses, schedule. A stage is data, not code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import ConfigError
from trainer.data.config import DataConfig
from trainer.families import PRECISIONS, LossSettings, family_of
from trainer.loop.schedule import OptimiserSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """Which network, and what it begins from."""

    name: str = "trajvg"  # trajvg, pi3 or pi3x
    config: Mapping[str, Any] = field(default_factory=dict)  # sizes by section; what is left out has the public checkpoint's size
    start: str | None = None  # weights to begin from (path, URL, hf://org/repo/file), of this or a smaller model; None: fresh
    start_sha256: str | None = None  # refuse any other file


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointSettings:
    """When the run is saved."""

    every_steps: int = 1000  # and at the end
    keep: int = 3  # newest checkpoints that stay

    def __post_init__(self) -> None:
        if min(self.every_steps, self.keep) < 1:
            raise ConfigError(f"every_steps is {self.every_steps}, keep {self.keep}; expected both 1 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSettings:
    """What can be watched. Losses of every step are in OUT/losses in any case."""

    every_steps: int = 10  # between lines of progress, and points of TensorBoard's curves
    tensorboard: bool = False  # write OUT/tensorboard; needs the extra `train`
    pictures_every_steps: int = 500  # between TensorBoard's pictures

    def __post_init__(self) -> None:
        if min(self.every_steps, self.pictures_every_steps) < 1:
            raise ConfigError(f"every_steps is {self.every_steps}, pictures_every_steps {self.pictures_every_steps}; expected 1 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One stage of training."""

    out: str  # folder or URL of the run: configuration, losses, checkpoints
    steps: int
    data: DataConfig
    model: ModelSettings = ModelSettings()
    frozen: tuple[str, ...] = ()  # parts of the network that stay as they are, such as encoder, decoder
    losses: LossSettings | None = None  # of the model's family; None: its defaults, filled in when the configuration is made
    optimiser: OptimiserSettings = OptimiserSettings()
    loss_guard: float | None = 10.0  # a step whose loss is larger counts 0 [π³ code]
    precision: str = "float32"  # or bfloat16: autocast of what the network does not keep in float32
    ema_decay: float | None = None  # keep an average of the weights too, each step counting 1 - ema_decay
    loader_workers: int = 2  # processes that decode and prepare clips ahead; 0: none but this. What they give does not depend on it
    seed: int = 0  # of fresh weights; data have their own
    checkpoints: CheckpointSettings = CheckpointSettings()
    logs: LogSettings = LogSettings()

    @property
    def loss_settings(self) -> LossSettings:
        """The losses, which are there by now."""
        assert self.losses is not None
        return self.losses

    def __post_init__(self) -> None:
        settings_type = family_of(self.model.name).settings_type
        if self.losses is None:
            object.__setattr__(self, "losses", settings_type())
        elif not isinstance(self.losses, settings_type):
            raise ConfigError(f"losses are {type(self.losses).__name__}, expected {settings_type.__name__}, of model {self.model.name}")
        if self.steps < 1 or min(self.seed, self.loader_workers) < 0:
            raise ConfigError(f"steps is {self.steps}, seed {self.seed}, loader_workers {self.loader_workers}; expected 1, 0 and 0 or more")
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision is {self.precision!r}, expected one of {', '.join(PRECISIONS)}")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ConfigError(f"ema_decay is {self.ema_decay}, expected between 0 and 1, or null for no average")
        if self.loss_guard is not None and not self.loss_guard > 0:
            raise ConfigError(f"loss_guard is {self.loss_guard}, expected above 0, or null for none")
