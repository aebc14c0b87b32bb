"""Checkpoints for jobs that use them: loaded where they compute, with what is known of the file."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from networks import build_model, model_name
from networks.building import Network
from networks.st4rtrack.network import St4RTrack
from networks.weights import TrainingShape, license_of, load_model, read_weights, start_from, training_shape_of
from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointInfo:
    """The file that a model came from."""

    source: str  # as it was asked for
    sha256: str
    model: str  # as `build_model` calls it
    license: str | None
    trained_on: TrainingShape | None = None  # where its header says

    def document(self) -> dict[str, Any]:
        """Identity in JSON types; a local file by its name alone, so that no document holds a path of this machine."""
        source = self.source if "://" in self.source else self.source.rsplit("/", 1)[-1]
        identity = {name: value for name, value in asdict(self).items() if name != "trained_on"}
        return {**identity, "source": source}


def load_checkpoint(source: str, device: torch.device) -> tuple[Network, CheckpointInfo]:
    """The model that a file holds, and what file that is. Raises ConfigError or StorageError, see `load_model`."""
    file = read_weights(source)
    with device:
        model = load_model(source, sha256=file.sha256)
    return model, CheckpointInfo(
        source=source, sha256=file.sha256, model=model_name(model), license=license_of(file), trained_on=training_shape_of(file)
    )


def keep_reconstruction(model: Network, source: str, device: torch.device) -> CheckpointInfo:
    """Let a St4RTrack reconstruct as other weights do, and track as its own: those that an adaptation of its tracks alone began from.

    Returns: what file that is. Raises: ConfigError for another model, or weights that do not fit.
    """
    if not isinstance(model, St4RTrack):
        raise ConfigError(f"--reconstruction keeps that of a St4RTrack, and the checkpoint is {model_name(model)}; leave it away")
    file = read_weights(source)
    with device:
        start = build_model(model_name(model), model.sizes())
    assert isinstance(start, St4RTrack), "built under its name"
    report = start_from(start, file)
    model.kept_start = (start.requires_grad_(False).eval(),)
    return CheckpointInfo(source=source, sha256=file.sha256, model=report.model, license=report.license)
