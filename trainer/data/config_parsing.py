"""The data section of a training's configuration, as plain tables (YAML, JSON)."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from pipeline.errors import ConfigError
from pipeline.stream import MixtureConfig, StreamConfig
from trainer.data.config import AugmentConfig, DataConfig, ShapeConfig

Section = TypeVar("Section")

_NOT_IN_PARTS = ("rank", "world_size", "epochs", "evaluation_truth", "arrays")  # the batches' own business
# One bad clip must not end a run of days; clips held out for validation and test are not for training; a window lies within 48 frames.
_PART_DEFAULTS = {"on_error": "skip", "split": "train", "num_frames": 48}


def parse_data_config(table: Mapping[str, Any]) -> DataConfig:
    """Read the table of a DataConfig.

    `labelled` and `pseudo` are lists of parts: `root`, `weight` (1 if left out) and fields of StreamConfig. Of a part that does not say
    otherwise come clips of the split train, up to 48 frames of each, and clips that cannot be used are skipped.

    Args:
        table: field -> value; `shape` and `augment` are tables of their own.
    Raises: ConfigError for an unknown name, or a value that does not do.
    """
    values = dict(_known(table, DataConfig, "data"))
    for name, kind in (("shape", ShapeConfig), ("augment", AugmentConfig)):
        if name in values:
            values[name] = _made(kind, _known(values[name], kind, f"data.{name}"), f"data.{name}")
    for name in ("labelled", "pseudo"):
        if values.get(name):
            values[name] = _mixture(values[name], f"data.{name}", seed=values.get("seed", 0))
        else:
            values[name] = None
    return _made(DataConfig, _tupled(values), "data")


def _mixture(parts: object, where: str, *, seed: int) -> MixtureConfig:
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        raise ConfigError(f"{where} is {parts!r}, expected a list of parts, each with a root")
    return MixtureConfig(parts=tuple(_part(part, f"{where}[{number}]") for number, part in enumerate(parts)), seed=seed)


def _part(table: object, where: str) -> tuple[StreamConfig, float]:
    values = dict(table) if isinstance(table, Mapping) else {}
    weight = values.pop("weight", 1.0)
    known = _known(values, StreamConfig, where)
    if "root" not in known:
        raise ConfigError(f"{where} is {table!r}, expected a table with at least a root")
    foreign = [name for name in _NOT_IN_PARTS if name in known]
    if foreign:
        raise ConfigError(f"{where} sets {foreign[0]}, which is not a part's to set; leave it out")
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ConfigError(f"{where}.weight is {weight!r}, expected a number above 0")
    return _made(StreamConfig, _PART_DEFAULTS | _tupled(known), where), float(weight)


def _known(table: object, kind: type, where: str) -> Mapping[str, Any]:
    names = [field.name for field in fields(kind)]
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is {table!r}, expected a table of {', '.join(names)}")
    unknown = [str(name) for name in table if name not in names]
    if unknown:
        raise ConfigError(f"{where}: unknown {', '.join(unknown)}; there are {', '.join(names)}")
    return table


def _tupled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _made(kind: type[Section], values: Mapping[str, Any], where: str) -> Section:
    try:
        return kind(**_tupled(values))
    except TypeError as error:  # a comparison with a value of another kind
        raise ConfigError(f"{where}: a value is not of the kind that is expected ({error})") from error
