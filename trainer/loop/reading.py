"""Configurations of training from YAML files, with single values changed from the command line."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError
from pipeline.records.parsing import parse_record, plain_table
from pipeline.stream import MixtureConfig, StreamConfig
from trainer.data import parse_data_config
from trainer.families import family_of
from trainer.loop.config import ModelSettings, TrainConfig

FILLED_IN = ("on_error", "split", "num_frames")  # by `parse_data_config`, in other ways than StreamConfig would


def read_config(path: str | os.PathLike[str], changes: Sequence[str] = ()) -> TrainConfig:
    """Read a stage of training.

    Args:
        path: of a YAML file.
        changes: such as "steps=200" or "data.labelled.0.root=/data/studio": a place, and a value in YAML.
    Raises: ConfigError, naming the file, for anything that is not understood.
    """
    table = _load(Path(path))
    for change in changes:
        _change(table, change)
    try:
        if "data" in table:
            table["data"] = parse_data_config(table["data"])
        if table.get("losses") is not None:
            table["losses"] = parse_record(_loss_settings(table), table["losses"], "losses")
        return parse_record(TrainConfig, table, "")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def config_table(config: TrainConfig) -> dict[str, Any]:
    """The whole configuration as `read_config` understands it, defaults written out."""
    table = plain_table(config)
    table["data"] |= {name: _parts(getattr(config.data, name)) for name in ("labelled", "pseudo")}
    return table


def _parts(mixture: MixtureConfig | None) -> list[dict[str, Any]] | None:
    """Of each part what it says beyond StreamConfig's defaults, and what `parse_data_config` would fill in otherwise."""
    if mixture is None:
        return None
    plain = StreamConfig(root="")
    tables = []
    for part, weight in mixture.parts:
        names = [field.name for field in dataclasses.fields(part)]
        said = {name: getattr(part, name) for name in names if name in FILLED_IN or getattr(part, name) != getattr(plain, name)}
        tables.append({name: list(value) if isinstance(value, tuple) else value for name, value in said.items()} | {"weight": weight})
    return tables


def _loss_settings(table: dict[str, Any]) -> type:
    """The record that the `losses` section stands for, by the model's family."""
    model = table.get("model")
    return family_of(str(model.get("name", ModelSettings().name)) if isinstance(model, dict) else ModelSettings().name).settings_type


def _load(path: Path) -> dict[str, Any]:
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); give a YAML file such as configs/tiny.yaml") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path} holds {table!r}, expected a table; see configs/tiny.yaml")
    return table


def _change(table: dict[str, Any], change: str) -> None:
    place, equals, text = change.partition("=")
    names = place.split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set {change}: expected NAME.NAME=VALUE")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {change}: {text!r} is no YAML value") from error
    inner: Any = table
    for name in names[:-1]:
        inner = _entry(inner, name, change)
    if isinstance(inner, list):
        inner[_number(inner, names[-1], change)] = value
    elif isinstance(inner, dict):
        inner[names[-1]] = value
    else:
        raise ConfigError(f"--set {change}: {'.'.join(names[:-1])} is {inner!r}, which has no {names[-1]}")


def _entry(inner: Any, name: str, change: str) -> Any:
    if isinstance(inner, list):
        return inner[_number(inner, name, change)]
    if not isinstance(inner, dict):
        raise ConfigError(f"--set {change}: {inner!r} has no {name}")
    if inner.get(name) is None:
        inner[name] = {}
    return inner[name]


def _number(inner: list[Any], name: str, change: str) -> int:
    if not name.isdigit() or int(name) >= len(inner):
        raise ConfigError(f"--set {change}: {name} is no entry of a list of {len(inner)}; they are counted from 0")
    return int(name)
