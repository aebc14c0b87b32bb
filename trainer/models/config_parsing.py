"""Model configurations as plain tables (YAML, JSON), and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from pipeline.errors import ConfigError
from trainer.models.config import ModelConfig

Section = TypeVar("Section")


def parse_config(table: Mapping[str, Any] | None) -> ModelConfig:
    """Read a table of sections; what it leaves out has the public checkpoints' size.

    Args:
        table: section -> field -> value; names that begin with "_" are remarks. None for full size.
    Raises: ConfigError for an unknown name or a value of another kind.
    """
    full, sections = ModelConfig(), dict(table or {})
    known = [field.name for field in dataclasses.fields(ModelConfig)]
    unknown = [name for name in sections if name not in known and not name.startswith("_")]
    if unknown:
        raise ConfigError(f"model configuration: unknown section {', '.join(unknown)}; there are {', '.join(known)}")
    parsed = {name: _section(name, getattr(full, name), sections[name]) for name in known if name in sections}
    return dataclasses.replace(full, **parsed)


def config_table(config: ModelConfig) -> dict[str, dict[str, Any]]:
    """The configuration as nested tables of plain values; `parse_config` gives it back."""
    return {name: _plain(section) for name, section in dataclasses.asdict(config).items()}


def _plain(section: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in section.items()}


def _section(name: str, default: Section, table: object) -> Section:
    if not isinstance(table, Mapping):
        raise ConfigError(f"model configuration: {name} is {table!r}, expected a table of its fields")
    defaults = dataclasses.asdict(default)  # type: ignore[call-overload]  # a dataclass, whichever
    unknown = [str(field) for field in table if field not in defaults]
    if unknown:
        raise ConfigError(f"model configuration: {name} has no {', '.join(unknown)}; it has {', '.join(defaults)}")
    values = {field: _value(f"{name}.{field}", defaults[field], value) for field, value in table.items()}
    return dataclasses.replace(default, **values)  # type: ignore[type-var]


def _value(name: str, default: object, value: object) -> object:
    """The value, in the default's type; a whole number passes as a real one, a list as a tuple."""
    if isinstance(default, tuple):
        if isinstance(value, list | tuple) and value and all(_is_count(entry) for entry in value):
            return tuple(value)
        raise ConfigError(f"model configuration: {name} is {value!r}, expected a list of whole numbers")
    if isinstance(default, float) and _is_number(value):
        return float(value)  # type: ignore[arg-type]
    if isinstance(default, bool | str) and type(value) is type(default):
        return value
    if isinstance(default, int) and not isinstance(default, bool) and _is_count(value):
        return value
    raise ConfigError(f"model configuration: {name} is {value!r}, expected a value like {default!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
