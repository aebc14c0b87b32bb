"""Saving of networks as safetensors files, atomically, with equal bytes for equal weights; and the description in their headers."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from networks.building import Network
from networks.registry import model_name
from networks.weights.reading import WeightFile
from pipeline import storage
from pipeline.errors import ConfigError, FormatError, StorageError
from pipeline.records.parsing import parse_record

SCHEMA_VERSION = 1
_ENTRY = "trackmill"  # the only one: the order of several would not be the same every time


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingShape:
    """Shape of the clips that weights were trained on: ranges (least, most)."""

    frames: tuple[int, int]  # of a clip
    pixels: tuple[int, int]  # of a frame
    aspect: tuple[float, float]  # W / H
    strides: tuple[int, int]  # stored frames from one frame to the next


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSource:
    """A dataset that weights were trained on, and whose labels: of its own truth where no label set is named."""

    dataset: str  # its folder's name
    labels: tuple[str, ...] = ()  # label sets
    audit: str | None = None  # that was obeyed


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingOrigin:
    """All that weights were made of, with all that the weights were made of which their training began from."""

    sources: tuple[TrainingSource, ...] = ()
    licenses: tuple[str, ...] = ()  # of clips, label sets and weights

    def joined(self, other: "TrainingOrigin") -> "TrainingOrigin":
        """Both, each source and licence once."""
        return TrainingOrigin(
            sources=tuple(dict.fromkeys((*self.sources, *other.sources))), licenses=tuple(sorted({*self.licenses, *other.licenses}))
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """Name, sizes and licence of a saved model, enough to build it again; and the clips that it knows."""

    model: str  # as `build_model` calls it
    config: Mapping[str, Any]  # as `build_model` takes it, without `computing`
    license: str | None  # of the weights; None where training began from nothing
    trained_on: TrainingShape | None = None  # of the last stage; None where the file does not say
    origin: TrainingOrigin | None = None  # of all stages; None where the file does not say


def header_of(description: Description) -> dict[str, str]:
    """The entries of a safetensors header."""
    table: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "model": description.model,
        "config": description.config,
        "license": description.license,
    }
    if description.trained_on is not None:
        table["trained_on"] = asdict(description.trained_on)
    if description.origin is not None:
        table["origin"] = asdict(description.origin)
    return {_ENTRY: json.dumps(table, sort_keys=True, separators=(",", ":"))}


def read_description(file: WeightFile) -> Description | None:
    """The description in a file's header; None for a foreign file. Raises FormatError for another version, ConfigError for nonsense."""
    if _ENTRY not in file.metadata:
        return None
    try:
        table = json.loads(file.metadata[_ENTRY])
        version = table["schema_version"]
        if version != SCHEMA_VERSION:
            remedy = "update trackmill" if version > SCHEMA_VERSION else "save it again with the trackmill that wrote it, then update"
            raise FormatError(f"{file.source} has schema version {version}, this trackmill reads {SCHEMA_VERSION}; {remedy}")
        shape = table.get("trained_on")
        trained_on = None if shape is None else parse_record(TrainingShape, shape, f"{file.source}: its header's trained_on")
        made_of = table.get("origin")
        origin = None if made_of is None else parse_record(TrainingOrigin, made_of, f"{file.source}: its header's origin")
        return Description(model=table["model"], config=table["config"], license=table["license"], trained_on=trained_on, origin=origin)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file.source}: its header's entry {_ENTRY!r} cannot be read ({error!r}); fetch or save it again") from error


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WeightCopy:
    """Weights of a network as they were at one moment, in the memory of the host."""

    tensors: Mapping[str, Tensor]  # by public name, each its own memory
    description: Description


def copy_weights(
    model: Network, *, license: str | None = None, trained_on: TrainingShape | None = None, origin: TrainingOrigin | None = None
) -> WeightCopy:
    """Copy every entry to the host, with what a file's header says of it. Arguments as `save_weights`."""
    description = Description(model=model_name(model), config=model.sizes(), license=license, trained_on=trained_on, origin=origin)
    second_names = model.aliases()  # one tensor lies in a file once
    entries = {name: entry for name, entry in model.state_dict().items() if name not in second_names}
    return WeightCopy(tensors={name: copy_to_host(entry) for name, entry in entries.items()}, description=description)


def copy_to_host(tensor: Tensor) -> Tensor:
    """A copy on the CPU that shares no memory with the tensor."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def save_weights(
    uri: str,
    model: Network,
    *,
    license: str | None = None,
    trained_on: TrainingShape | None = None,
    origin: TrainingOrigin | None = None,
) -> None:
    """Write every entry under its public name, in its own dtype, with a description in the header that builds the model again.

    Args:
        uri: a local path or URL; an older file of this name is replaced.
        license: of the weights that training began from, see `license_of`; None if from nothing.
        trained_on: shape of the clips of the training; None leaves it out of the header.
        origin: what the training was made of; None leaves it out of the header.
    Raises: StorageError if it cannot be written.
    """
    write_weights(uri, copy_weights(model, license=license, trained_on=trained_on, origin=origin))


def write_weights(uri: str, copy: WeightCopy) -> None:
    """Write weights that were copied, as `save_weights` does."""
    write_tensors(uri, copy.tensors, header_of(copy.description))


def write_tensors(uri: str, tensors: Mapping[str, Tensor], header: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file, whole or not at all. Raises StorageError, naming it."""
    with storage.publishing(uri) as path:
        path.touch()
        mode = path.stat().st_mode
        try:
            safetensors.torch.save_file(dict(tensors), path, metadata=None if header is None else dict(header))
        except safetensors.SafetensorError as error:  # how the library tells of a full disk
            raise StorageError(f"cannot write {uri}: {error}; see to the disk, then run the same command again") from error
        path.chmod(mode)  # the library's files are for their owner alone
