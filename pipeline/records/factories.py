"""Classes and functions named "module:attribute", imported when asked for."""

import importlib
from collections.abc import Callable
from typing import Any

from pipeline.errors import ConfigError


def load_factory(place: str, what: str) -> Callable[..., Any]:
    """The class or function at a place.

    Args:
        place: "package.module:attribute".
        what: the thing that the factory makes, for messages, such as "labeler".
    Raises: ConfigError if the module cannot be imported, or has no such attribute, or the attribute cannot be called.
    """
    module_name, _, attribute = place.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{what} {place!r}: cannot import {module_name!r} ({error}); is it installed, or on PYTHONPATH?") from error
    except AttributeError as error:
        raise ConfigError(f"{what} {place!r}: {error}") from error
    if not callable(factory):
        raise ConfigError(f"{what} {place!r} is a {type(factory).__name__}, expected a class or function that makes a {what}")
    loaded: Callable[..., Any] = factory
    return loaded
