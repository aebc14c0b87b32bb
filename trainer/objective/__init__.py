"""From a network's output and a batch to the number that a step of training lowers."""

from trainer.objective.clip_losses import ClipLosses, LossTerm
from trainer.objective.module import Objective, StepLosses
from trainer.objective.settings import LossSettings, TrackingWeights

__all__ = ["ClipLosses", "LossSettings", "LossTerm", "Objective", "StepLosses", "TrackingWeights"]
