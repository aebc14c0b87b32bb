"""Plain tables (YAML, JSON) into frozen dataclasses by their type hints, and back. Unknown names are errors, not ignored."""

import dataclasses
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pipeline.errors import ConfigError

Record = TypeVar("Record")


def parse_record(kind: type[Record], table: object, where: str, default: Record | None = None) -> Record:
    """Build a dataclass from a table of its fields; what the table leaves out has its default, also within the records it holds.

    Args:
        default: the record that holds these defaults; None for those of the dataclass.
        where: what messages call the table, such as "losses.coupling"; "" for the whole file.
    Raises: ConfigError for an unknown, missing or unfitting value, naming it.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where or 'the configuration'} is {table!r}, expected a table of {', '.join(_names(kind))}")
    if unknown := [str(name) for name in table if name not in _names(kind)]:
        raise ConfigError(f"{where or 'the configuration'} has no {', '.join(unknown)}; it has {', '.join(_names(kind))}")
    hints = get_type_hints(kind)
    defaults = _defaults(kind) if default is None else {name: getattr(default, name) for name in _names(kind)}
    values = {name: parse_value(hints[name], value, f"{where}.{name}".lstrip("."), defaults.get(name)) for name, value in table.items()}
    if missing := [name for name in _names(kind) if name not in values and name not in defaults]:
        raise ConfigError(f"{where or 'the configuration'} lacks {', '.join(missing)}")
    try:
        return kind(**{**defaults, **values})
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from error


def parse_value(hint: Any, value: object, where: str, default: object = None) -> Any:
    """One value by its type hint: a dataclass, tuple, sequence, optional, `Literal`, plain type, or one of several of these.

    Whole numbers pass as real, lists as tuples.
    """
    if dataclasses.is_dataclass(value):  # parsed already
        return value
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return parse_record(hint, value, where, default if isinstance(default, hint) else None)
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _parse_union(options, value, where, default)
    if origin is Literal:
        return _parse_literal(options, value, where)
    if origin in (tuple, Sequence):
        return _parse_tuple(options if origin is tuple else (*options, ...), value, where)
    if hint is Any or origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise ConfigError(f"{where} is {value!r}, expected {_spoken(hint)}{_hint_of_notation(hint, value)}")


def check_choices(record: object) -> None:
    """Raise ConfigError unless every field of a `Literal` type, alone or in a tuple, holds one of its values.

    For the `__post_init__` of a record that is made in code as well as parsed.
    """
    for name, hint in get_type_hints(type(record)).items():
        if any(get_origin(inner) is Literal for inner in (hint, *get_args(hint))):
            parse_value(hint, getattr(record, name), name)


def plain_table(record: object) -> dict[str, Any]:
    """The record as nested tables, lists and plain values; `parse_record` gives it back."""
    plain = _plain(dataclasses.asdict(record))  # type: ignore[call-overload]  # a dataclass, whichever
    return plain if isinstance(plain, dict) else {}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _defaults(kind: type) -> dict[str, Any]:
    """The dataclass's own defaults by field; fields without one are absent."""
    found = {}
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    return found


def _parse_union(options: tuple[Any, ...], value: object, where: str, default: object) -> Any:
    """None if it is an option, else the value as the first of the others that takes it."""
    if value is None and type(None) in options:
        return None
    kinds = [option for option in options if option is not type(None)]
    if len(kinds) == 1:
        return parse_value(kinds[0], value, where, default)
    for kind in kinds:
        with suppress(ConfigError):
            return parse_value(kind, value, where, default)
    raise ConfigError(f"{where} is {value!r}, expected {' or '.join(map(_spoken, kinds))}")


def _parse_tuple(options: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ConfigError(f"{where} is {value!r}, expected a list")
    hints = [options[0]] * len(value) if len(options) == 2 and options[1] is Ellipsis else list(options)
    if len(hints) != len(value):
        raise ConfigError(f"{where} is {list(value)!r}, expected {len(hints)} entries")
    return tuple(parse_value(hint, entry, f"{where}.{number}") for number, (hint, entry) in enumerate(zip(hints, value, strict=True)))


def _parse_literal(options: tuple[Any, ...], value: object, where: str) -> Any:
    if not any(type(value) is type(option) and value == option for option in options):
        raise ConfigError(f"{where} is {value!r}, expected one of {', '.join(str(option) for option in options)}")
    return value


def _spoken(hint: Any) -> str:
    if get_origin(hint) in (tuple, Sequence):
        return "a list"
    return {float: "a number", int: "a whole number", bool: "true or false", str: "text"}.get(hint, str(hint))


def _hint_of_notation(hint: Any, value: object) -> str:
    """YAML takes 5e-5 for text: it wants 5.0e-5."""
    return "; YAML reads 1e-4 as text, write 1.0e-4" if hint is float and isinstance(value, str) else ""
