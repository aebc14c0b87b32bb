"""Reading, strict loading and saving of weights: public checkpoints and our own, as safetensors or torch files."""

from networks.weights.fitting import PUBLISHED, license_of, origin_of, training_shape_of, warn_non_commercial
from networks.weights.loading import StartReport, build_with_weights, load_model, load_weights, plan_start, start_from
from networks.weights.reading import WeightFile, read_weights
from networks.weights.saving import (
    TrainingOrigin,
    TrainingShape,
    TrainingSource,
    WeightCopy,
    copy_to_host,
    copy_weights,
    read_description,
    save_weights,
    write_tensors,
    write_weights,
)

__all__ = [
    "PUBLISHED",
    "StartReport",
    "TrainingOrigin",
    "TrainingShape",
    "TrainingSource",
    "WeightCopy",
    "WeightFile",
    "build_with_weights",
    "copy_to_host",
    "copy_weights",
    "warn_non_commercial",
    "license_of",
    "load_model",
    "load_weights",
    "origin_of",
    "plan_start",
    "read_description",
    "read_weights",
    "save_weights",
    "start_from",
    "training_shape_of",
    "write_tensors",
    "write_weights",
]
