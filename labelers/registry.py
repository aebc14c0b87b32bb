"""From a labeler's name and options to the labeler."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from labelers.protocol import Labeler
from pipeline.errors import ConfigError

# name -> "module:factory", imported when asked for: a labeler without a network does not load torch
LABELERS = {
    "cotracker3-offline": "labelers.cotracker3.offline:CoTracker3OfflineLabeler",
    "cotracker3-online": "labelers.cotracker3.online:CoTracker3OnlineLabeler",
    "cotracker-package": "labelers.cotracker_package:CoTrackerPackageLabeler",
    "dis-flow": "labelers.dis_flow:DisFlowLabeler",
    "lucas-kanade": "labelers.lucas_kanade:LucasKanadeLabeler",
    "pi3-depth": "labelers.depth.pi3_depth:Pi3DepthLabeler",
    "transformers-depth": "labelers.depth.transformers_depth:TransformersDepthLabeler",
}

_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def make_labeler(name: str, /, **options: Any) -> Labeler:
    """Make a labeler.

    Args:
        name: one of LABELERS, or the door for a labeler of one's own: "package.module:factory", where the factory (a class or
            function that can be imported) takes the options as keywords and returns an object with `label` and `provenance`.
        options: of this labeler.
    Raises: ConfigError for an unknown name, for an option that the labeler does not have, and for a value out of range.
    """
    door = _door(name)
    factory = _factory(door)
    _check_option_names(name, factory, options)
    labeler = factory(**options)
    missing = [method for method in ("label", "provenance") if not callable(getattr(labeler, method, None))]
    if missing:
        raise ConfigError(f"{door} made a {type(labeler).__name__} without {' and '.join(missing)}; a labeler has label and provenance")
    return labeler


def labeler_options(name: str, /) -> tuple[str, ...]:
    """Names of a labeler's options, read from its factory's signature; nothing is made. Names as `make_labeler` takes them.

    A factory's `**options` are not among them. Raises: ConfigError for an unknown name.
    """
    factory = _factory(_door(name))
    return tuple(parameter.name for parameter in inspect.signature(factory).parameters.values() if parameter.kind in _NAMED)


def _door(name: str) -> str:
    door = name if ":" in name else LABELERS.get(name)
    if door is None:
        known = ", ".join(LABELERS)
        raise ConfigError(f'unknown labeler {name!r}; known are {known}, and "package.module:factory" for one of your own')
    return door


def _factory(door: str) -> Callable[..., Labeler]:
    module_name, _, attribute = door.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"labeler {door!r}: cannot import {module_name!r} ({error}); is it installed, or on PYTHONPATH?") from error
    except AttributeError as error:
        raise ConfigError(f"labeler {door!r}: {error}") from error
    if not callable(factory):
        raise ConfigError(f"labeler {door!r} is a {type(factory).__name__}, expected a class or function that makes a labeler")
    return factory


def _check_option_names(name: str, factory: Callable[..., Labeler], options: dict[str, Any]) -> None:
    parameters = inspect.signature(factory).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.kind in _NAMED]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ConfigError(f"labeler {name} has no option {', '.join(unknown)}; its options are {', '.join(known) or 'none'}")
    missing = [parameter.name for parameter in parameters if parameter.default is parameter.empty and parameter.name not in options]
    if missing:
        raise ConfigError(f"labeler {name} needs the option {', '.join(missing)}")
