"""The cells of one table row, by what they mean."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from pipeline.errors import DataError

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
        """The cell of a role as text (an id may be a number in a typed table)."""
        value = self.value(role)
        return None if value is None else as_text(value)


def as_text(value: Any) -> str:
    """A cell as part of a name: 12.0 is 12, because pandas turns a column of integers with a gap into floats."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def json_row(values: Mapping[str, Any]) -> dict[str, Any]:
    """A row's values as JSON types; NaN, infinities and empty text become None.

    Raises: DataError for text that is not valid Unicode.
    """
    return {name: None if value == "" else value for name, value in ((name, json_value(name, value)) for name, value in values.items())}


def json_value(name: str, value: Any) -> Any:
    """One value of column `name` as JSON types."""
    if isinstance(value, str):
        return _checked(name, value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(float(value)) else None
    if isinstance(value, Mapping):
        return {_checked(name, str(key)): json_value(name, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(name, item) for item in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return _checked(name, value.decode("utf-8", "surrogateescape"))
    raise DataError(f"column {name!r} holds a {type(value).__name__}, which has no JSON spelling; drop the column")


def _checked(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"column {name!r} is not valid UTF-8; save the table as UTF-8") from error
    return text
