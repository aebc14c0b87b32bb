"""The cells of one table row by their meaning."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from pipeline.errors import DataError
from pipeline.manifest.text import RAW_BYTE

SAVE_AS_UTF8 = "save the table as UTF-8"
_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # between them: bytes that are no UTF-8
_DEEPEST = 32  # levels of a cell
_ABSENT = ("", "nan", "none", "null")  # how tables write "nothing" into a text cell


@dataclass(frozen=True, slots=True)
class Cells:
    """A row's values, and which column holds what."""

    values: Mapping[str, Any]  # column -> value, JSON types
    columns: Mapping[str, str]  # role -> column

    def value(self, role: str) -> Any:
        """The cell of a role; None if there is no such column, or nothing in it."""
        column = self.columns.get(role)
        value = None if column is None else self.values.get(column)
        return None if isinstance(value, str) and value.strip().lower() in _ABSENT else value

    def text(self, role: str) -> str | None:
        """The cell of a role as text (an id may be a number in a typed table). Raises DataError for a list, an object, true or false."""
        value = self.value(role)
        if value is None:
            return None
        if isinstance(value, bool | list | Mapping):
            kind = {bool: "a truth value", list: "a list"}.get(type(value), "an object")
            raise DataError(f"column {self.columns[role]!r} holds {kind}, expected text or a number; correct or drop the row")
        return as_text(value)


def as_text(value: Any) -> str:
    """A cell as part of a name: 12.0 is 12, because pandas turns a column of integers with a gap into floats."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def json_row(values: Mapping[str, Any], *, names: Collection[str] = (), remedy: str = SAVE_AS_UTF8) -> dict[str, Any]:
    """A row's values as JSON types; NaN, infinities and empty text become None.

    Args:
        names: columns that name files: bytes that are no UTF-8 stay in them, as surrogates.
        remedy: what to do about such bytes in another column.
    Raises: DataError for text that is not valid Unicode, for values nested deeper than 32, and for types that JSON has no spelling of.
    """
    row = {}
    for name, value in values.items():
        _checked("", name, remedy)
        if name in names and isinstance(value, bytes):
            value = value.decode("utf-8", "surrogateescape")
        if name in names and isinstance(value, str) and "\0" in value:
            raise DataError(f"column {name!r} holds a NUL character, which no file name can; correct or drop the row")
        raw = name in names and isinstance(value, str) and not _LONE_SURROGATE.search(value)
        row[name] = None if value == "" else value if raw else json_value(name, value, remedy=remedy)
    return row


def json_value(name: str, value: Any, *, remedy: str = SAVE_AS_UTF8, depth: int = 0) -> Any:
    """One value of column `name` as JSON types."""
    if isinstance(value, str):
        return _checked(name, value, remedy)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(float(value)) else None
    if depth >= _DEEPEST:
        raise DataError(f"column {name!r} is nested deeper than {_DEEPEST} levels; flatten or drop it")
    if isinstance(value, Mapping):
        items = value.items()
        return {_checked(name, str(key), remedy): json_value(name, item, remedy=remedy, depth=depth + 1) for key, item in items}
    if isinstance(value, list | tuple):
        return [json_value(name, item, remedy=remedy, depth=depth + 1) for item in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return _checked(name, value.decode("utf-8", "surrogateescape"), remedy)
    raise DataError(f"column {name!r} holds a {type(value).__name__}, which has no JSON spelling; drop the column")


def _checked(name: str, text: str, remedy: str) -> str:
    where = f"column {name!r}" if name else "the name of a column"
    if found := _LONE_SURROGATE.search(text):
        raise DataError(f"{where} holds half of a character (\\u{ord(found[0]):04x} alone); correct or drop the row")
    if RAW_BYTE.search(text):
        raise DataError(f"{where} is not valid UTF-8; {remedy}")
    return text
