"""Weights in and out: public checkpoints and our own, strictly, as safetensors or torch files."""

from trainer.models.weights.loading import load_model, load_weights
from trainer.models.weights.reading import WeightFile, read_weights
from trainer.models.weights.saving import save_weights
from trainer.models.weights.starting import StartReport, start_from

__all__ = ["StartReport", "WeightFile", "load_model", "load_weights", "read_weights", "save_weights", "start_from"]
