"""From a name and a table of sizes to a network."""

from collections.abc import Mapping
from typing import Any

import torch

from pipeline.errors import ConfigError
from trainer.models.backbone import Backbone
from trainer.models.config_parsing import parse_config
from trainer.models.initialisation import initialise
from trainer.models.pi3 import Pi3
from trainer.models.pi3x import Pi3X
from trainer.models.trajvg import TrajVG

MODELS: dict[str, type[Backbone]] = {"pi3": Pi3, "pi3x": Pi3X, "trajvg": TrajVG}


def build_model(name: str, config: Mapping[str, Any] | None = None, *, generator: torch.Generator | None = None) -> Backbone:
    """Build a network with fresh weights on torch's default device, in training mode.

    Under `torch.device("meta")` it has names and shapes only. Torch's global generator is neither read nor advanced.

    Args:
        name: trajvg, pi3 or pi3x.
        config: sizes by section, see `trainer.models.config`; None for the public checkpoints' sizes.
        generator: where the weights are drawn from, on the CPU; None for one of seed 0.
    Raises: ConfigError for an unknown name, an unknown field, or sizes that do not fit each other.
    """
    if name not in MODELS:
        raise ConfigError(f"there is no model {name!r}; there are {', '.join(sorted(MODELS))}")
    device = torch.get_default_device()
    with torch.device("meta"):
        model = MODELS[name](parse_config(config))
    if device.type == "meta":
        return model
    model.to_empty(device=device)
    initialise(model, torch.Generator().manual_seed(0) if generator is None else generator)
    return model


def model_name(model: Backbone) -> str:
    """The name that builds a model of this kind."""
    return next(name for name, kind in MODELS.items() if type(model) is kind)
