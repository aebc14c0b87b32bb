"""Checkpoints for jobs that use them: loaded where they compute, with what is known of the file."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from networks import model_name
from networks.building import Network
from networks.weights import TrainingShape, license_of, load_model, read_weights, training_shape_of


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
