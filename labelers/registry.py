"""Labelers by name, made from their options."""

import inspect
from collections.abc import Callable
from typing import Any

from labelers.protocol import Labeler
from pipeline.errors import ConfigError
from pipeline.records.factories import load_factory

# name -> "module:factory", imported when asked for: a labeler without a network does not load torch
LABELERS = {
    "cotracker3-offline": "labelers.cotracker3.variants:CoTracker3OfflineLabeler",
    "cotracker3-online": "labelers.cotracker3.variants:CoTracker3OnlineLabeler",
    "cotracker-package": "labelers.cotracker_package:CoTrackerPackageLabeler",
    "dis-flow": "labelers.optical_flow:DisFlowLabeler",
    "lucas-kanade": "labelers.optical_flow:LucasKanadeLabeler",
    "pi3-depth": "labelers.depth.pi3_depth:Pi3DepthLabeler",
    "refined-flow": "labelers.refined_flow.labeler:RefinedFlowLabeler",
    "track4world": "labelers.track4world.labeler:Track4WorldLabeler",
    "transformers-depth": "labelers.depth.transformers_depth:TransformersDepthLabeler",
}

_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def make_labeler(name: str, /, **options: Any) -> Labeler:
    """Make a labeler.

    Args:
        name: one of LABELERS, or "package.module:factory" for a labeler of one's own, where the factory (a class or function that
            can be imported) takes the options as keywords and returns an object with `label` and `provenance`.
        options: of this labeler.
    Raises: ConfigError for an unknown name, for an option that the labeler does not have, and for a value out of range.
    """
    place = _place(name)
    factory: Callable[..., Labeler] = load_factory(place, "labeler")
    _check_option_names(name, factory, options)
    labeler = factory(**options)
    missing = [method for method in ("label", "provenance") if not callable(getattr(labeler, method, None))]
    if missing:
        raise ConfigError(f"{place} made a {type(labeler).__name__} without {' and '.join(missing)}; a labeler has label and provenance")
    return labeler


def labeler_options(name: str, /) -> tuple[str, ...]:
    """Names of a labeler's options, read from its factory's signature; nothing is made. Names as `make_labeler` takes them.

    A factory's `**options` are not among them. Raises: ConfigError for an unknown name.
    """
    factory = load_factory(_place(name), "labeler")
    return tuple(parameter.name for parameter in inspect.signature(factory).parameters.values() if parameter.kind in _NAMED)


def _place(name: str) -> str:
    place = name if ":" in name else LABELERS.get(name)
    if place is None:
        known = ", ".join(LABELERS)
        raise ConfigError(f'unknown labeler {name!r}; known are {known}, and "package.module:factory" for one of your own')
    return place


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
