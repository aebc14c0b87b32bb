"""The training loop: one stage of training, from a configuration to checkpoints; alone or on many processes."""

from trainer.loop.config import TrainConfig, read_config
from trainer.loop.loggers import Logger, RunInfo
from trainer.loop.logs import read_journal
from trainer.loop.run import TrainOutcome, train

__all__ = ["Logger", "RunInfo", "TrainConfig", "TrainOutcome", "read_config", "read_journal", "train"]
