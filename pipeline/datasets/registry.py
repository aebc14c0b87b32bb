"""From a dataset's name, folder and options to its reader."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from pipeline.datasets.source import TruthSource
from pipeline.errors import ConfigError

# name -> "module:factory", imported when asked for. A factory takes the folder, then options as keywords, such as `license`
# (overrides its own) and, where the source holds pickles, `trust_pickle`.
DATASETS = {
    "bonn": "pipeline.datasets.rgbd:BonnSource",
    "dynamic-replica": "pipeline.datasets.dynamic_replica:DynamicReplicaSource",
    "kubric": "pipeline.datasets.kubric:KubricSource",
    "point-odyssey": "pipeline.datasets.point_odyssey:PointOdysseySource",
    "scannet": "pipeline.datasets.scannet:ScanNetSource",
    "sintel": "pipeline.datasets.sintel:SintelSource",
    "spring": "pipeline.datasets.spring:SpringSource",
    "tapvid3d": "pipeline.datasets.tapvid3d:TapVid3dSource",
    "tartanair": "pipeline.datasets.tartanair:TartanAirSource",
    "tum": "pipeline.datasets.rgbd:TumSource",
    "virtual-kitti": "pipeline.datasets.virtual_kitti:VirtualKittiSource",
}

_KEYWORDS = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def make_source(name: str, path: str, /, **options: Any) -> TruthSource:
    """Make the reader of a dataset.

    Args:
        name: one of DATASETS, or the door to a reader of one's own: "package.module:factory".
        path: folder (or URL) that holds the dataset in its published layout.
        options: of this reader.
    Raises: ConfigError for an unknown name, and for an option that the reader does not have.
    """
    door = name if ":" in name else DATASETS.get(name)
    if door is None:
        raise ConfigError(f'unknown dataset {name!r}; known are {", ".join(DATASETS)}, and "package.module:factory" for one of your own')
    factory = _factory(door)
    known = [parameter.name for parameter in inspect.signature(factory).parameters.values() if parameter.kind in _KEYWORDS][1:]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ConfigError(f"dataset {name} has no option {', '.join(unknown)}; its options are {', '.join(known) or 'none'}")
    return factory(path, **options)


def _factory(door: str) -> Callable[..., TruthSource]:
    module_name, _, attribute = door.partition(":")
    try:
        factory: Callable[..., TruthSource] = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"dataset {door!r}: cannot import {module_name!r} ({error}); is it installed, or on PYTHONPATH?") from error
    except AttributeError as error:
        raise ConfigError(f"dataset {door!r}: {error}") from error
    return factory
