"""Loading of weights: every entry of a network, or the entries shared with a related network's file."""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from networks.building import Network
from networks.registry import build_model, model_name
from networks.weights.fitting import check_fit, describe_weights, license_of, name_all, shapes_of, share_config_type, warn_non_commercial
from networks.weights.reading import WeightFile, read_weights
from pipeline.errors import ConfigError

_log = logging.getLogger(__name__)


def load_weights(model: Network, file: WeightFile, *, license: str | None = None) -> None:
    """Copy a file into a model, wherever and in whatever dtype its parameters are. Every entry must be there, no other, in its shape.

    Args:
        license: of the weights, where the caller knows it better than the file; it is logged once per process if non-commercial.
    Raises: ConfigError, naming entries and what may help. The model is unchanged then.
    """
    file = name_all(file, model)
    check_fit(file, shapes_of(model), model_name(model))
    warn_non_commercial(license_of(file) if license is None else license)
    model.load_state_dict(dict(file.tensors), strict=True)


def load_model(source: str, *, sha256: str | None = None, computing: Mapping[str, Any] | None = None) -> Network:
    """Build the model that a file is of and load it, on torch's default device.

    A file of ours says its model and sizes; a public one is known by its names, and has the public sizes.

    Args:
        source: a local path, `hf://org/repo[@revision]/file`, or a URL.
        sha256: refuse any other file.
        computing: the configuration's section of that name: memory and time, no result.
    """
    file = read_weights(source, sha256=sha256)
    described = describe_weights(file)
    config = {**described.config, "computing": dict(computing)} if computing else described.config
    return build_with_weights(described.model, config, file)


def build_with_weights(name: str, config: Mapping[str, Any] | None, file: WeightFile, *, license: str | None = None) -> Network:
    """Build a model with a file's weights, on torch's default device; nothing is drawn. Arguments as `build_model`, `load_weights`."""
    device = torch.get_default_device()
    with torch.device("meta"):
        model = build_model(name, config)
    check_fit(name_all(file, model), shapes_of(model), name)
    model.allocate(device)
    load_weights(model, file, license=license)
    return model


@dataclass(frozen=True, kw_only=True, slots=True)
class StartReport:
    """Entries of a start from another model's weights."""

    source: str
    model: str  # that the file is of
    license: str | None  # of the file's weights, and so of what is trained from them
    loaded: tuple[str, ...]  # copied
    new: tuple[str, ...]  # in the model only: as fresh as they were
    unused: tuple[str, ...]  # in the file only


def start_from(model: Network, file: WeightFile) -> StartReport:
    """Copy the entries that a model shares with a file of a related network: any of π³, Pi3X and TrajVG, or of DUSt3R, MASt3R, St4RTrack.

    Track4World's backbone begins from a file of its own kind.

    The file must be exactly what its kind of model has at this model's sizes: then what is new is what only this model's kind has, and
    nothing is left out by accident. TrajVG from π³: 1206 entries loaded, 592 new (dense heads, track decoder, tracker), 4 unused.
    St4RTrack from MASt3R: 1009 loaded, none new, 8 unused (the layers of its descriptors).

    Raises: ConfigError if the file is incomplete, of other sizes, or of another model. The model is unchanged then.
    """
    if (part := model.part_of(describe_weights(file).model)) is not None:
        return _within(model, part[0], start_from(part[1], file))
    report = plan_start(model, file)
    warn_non_commercial(report.license)
    tensors = name_all(file, model).tensors
    model.load_state_dict({name: tensors[name] for name in report.loaded}, strict=False)
    message = "%s begins from %s (%s): %d entries loaded, %d new, %d of the file unused"
    _log.info(message, model_name(model), file.source, report.model, len(report.loaded), len(report.new), len(report.unused))
    return report


def plan_start(model: Network, file: WeightFile) -> StartReport:
    """The report of a start, and its refusals, without the copying: `model` may lie on the meta device."""
    described = describe_weights(file)
    if (part := model.part_of(described.model)) is not None:
        return _within(model, part[0], plan_start(part[1], file))
    if not share_config_type(described.model, model_name(model)):
        raise ConfigError(f"{model_name(model)} cannot begin from {file.source}, which holds weights of {described.model}")
    with torch.device("meta"):
        twin = build_model(described.model, model.sizes())
    file = name_all(file, twin)
    check_fit(file, shapes_of(twin), described.model)
    mine, theirs = shapes_of(model), shapes_of(twin)
    loaded = [name for name in mine if theirs.get(name) == mine[name]]
    return StartReport(
        source=file.source,
        model=described.model,
        license=described.license,
        loaded=tuple(loaded),
        new=tuple(name for name in mine if name not in set(loaded)),
        unused=tuple(name for name in theirs if name not in set(loaded)),
    )


def _within(model: Network, prefix: str, report: StartReport) -> StartReport:
    """The report on a part of a model as one on the whole."""
    loaded = {prefix + name for name in report.loaded}
    names = shapes_of(model)
    return dataclasses.replace(
        report, loaded=tuple(name for name in names if name in loaded), new=tuple(name for name in names if name not in loaded)
    )
