"""Weights into models, every entry or none."""

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

from pipeline.errors import ConfigError
from trainer.models.backbone import Backbone
from trainer.models.building import build_model, model_name
from trainer.models.weights.description import Description, read_description
from trainer.models.weights.fitting import check_fit, shapes_of
from trainer.models.weights.kinds import LICENSES, PUBLIC, kind_of, stranger
from trainer.models.weights.reading import WeightFile, read_weights

_log = logging.getLogger(__name__)


def load_weights(model: Backbone, file: WeightFile) -> None:
    """Copy a file into a model, wherever and in whatever dtype its parameters are. Every entry must be there, no other, in its shape.

    Raises: ConfigError, naming entries and what may help. The model is unchanged then.
    """
    check_fit(file, shapes_of(model), model_name(model))
    give_notice(license_of(file))
    model.load_state_dict(dict(file.tensors), strict=True)


def load_model(source: str, *, sha256: str | None = None, computing: Mapping[str, Any] | None = None) -> Backbone:
    """Build the model that a file is of and load it, on torch's default device.

    A file of ours says its model and sizes; a public one is known by its names, and has the public sizes.

    Args:
        source: a local path, `hf://org/repo[@revision]/file`, or a URL.
        sha256: refuse any other file.
        computing: the configuration's section of that name: memory and time, no result.
    """
    file = read_weights(source, sha256=sha256)
    described = describe(file)
    device = torch.get_default_device()
    with torch.device("meta"):
        model = build_model(described.model, {**described.config, "computing": dict(computing or {})})
    check_fit(file, shapes_of(model), described.model)
    model.to_empty(device=device)
    load_weights(model, file)
    return model


def describe(file: WeightFile) -> Description:
    """What a file is: what it says, or what its names say. Raises ConfigError for a stranger."""
    described = read_description(file)
    if described is not None:
        return described
    kind = kind_of(file.tensors)
    if kind is None:
        raise ConfigError(f"{file.source} holds {stranger(file.tensors)}; expected π³ (such as {PUBLIC}), Pi3X, TrajVG, or a file of ours")
    return Description(model=kind, config={}, license=LICENSES[kind])


def license_of(file: WeightFile) -> str | None:
    """The licence that a file's weights are under; None if it names none and they are nobody's public ones."""
    described = read_description(file)
    kind = kind_of(file.tensors)
    return described.license if described is not None else LICENSES[kind] if kind else None


@cache
def give_notice(license: str | None) -> None:
    """Say once per process that weights may not be used for everything."""
    if license is not None and "non-commercial" in license:
        _log.warning("these weights are %s; so is what is trained from them", license)
