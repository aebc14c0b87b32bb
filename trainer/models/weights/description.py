"""What a checkpoint of ours says of itself, in one entry of its header."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ConfigError, FormatError
from trainer.models.weights.reading import WeightFile

SCHEMA_VERSION = 1
_ENTRY = "trackmill"  # the only one: the order of several would not be the same every time


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """Enough to build the model again."""

    model: str  # as `build_model` calls it
    config: Mapping[str, Any]  # sizes by section, without `computing`
    license: str | None  # of the weights; None where training began from nothing


def header_of(description: Description) -> dict[str, str]:
    """A safetensors header's remarks."""
    table = {
        "schema_version": SCHEMA_VERSION,
        "model": description.model,
        "config": description.config,
        "license": description.license,
    }
    return {_ENTRY: json.dumps(table, sort_keys=True, separators=(",", ":"))}


def read_description(file: WeightFile) -> Description | None:
    """What a file says of itself; None if it is not of ours. Raises FormatError for another version, ConfigError for nonsense."""
    if _ENTRY not in file.metadata:
        return None
    try:
        table = json.loads(file.metadata[_ENTRY])
        version = table["schema_version"]
        if version != SCHEMA_VERSION:
            remedy = "update trackmill" if version > SCHEMA_VERSION else "save it again with the trackmill that wrote it, then update"
            raise FormatError(f"{file.source} has schema version {version}, this trackmill reads {SCHEMA_VERSION}; {remedy}")
        return Description(model=table["model"], config=table["config"], license=table["license"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file.source}: its header's entry {_ENTRY!r} cannot be read ({error!r}); fetch or save it again") from error
