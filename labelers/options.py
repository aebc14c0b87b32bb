"""Checks of option values, with messages that name the option."""

import math

from pipeline.errors import ConfigError


def check_number(name: str, value: object, *, minimum: float, maximum: float = math.inf) -> None:
    """Raise ConfigError unless `value` is a finite number in [minimum, maximum]."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not minimum <= value <= maximum:  # type: ignore[operator]  # a number by then
        raise ConfigError(f"{name} is {value!r}, expected a number {_range(minimum, maximum)}")


def check_count(name: str, value: object, *, minimum: int, maximum: float = math.inf) -> None:
    """Raise ConfigError unless `value` is a whole number (int) in [minimum, maximum]."""
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise ConfigError(f"{name} is {value!r}, expected a whole number {_range(minimum, maximum)}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ConfigError unless `value` is one of `choices`."""
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}, expected one of {', '.join(choices)}")


def _range(minimum: float, maximum: float) -> str:
    return f"of at least {minimum:g}" if math.isinf(maximum) else f"from {minimum:g} to {maximum:g}"
