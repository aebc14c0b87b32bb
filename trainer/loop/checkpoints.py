"""Checkpoints of a run: weights, optimiser and state, committed by the state's file, so that a run can be killed at any moment.

OUT/checkpoints/00001000.safetensors              weights, as `networks.weights` loads them
OUT/checkpoints/00001000.average.safetensors      their average, where one is kept
OUT/checkpoints/00001000.optimiser.safetensors    AdamW's moments
OUT/checkpoints/00001000.json                     written last: state of the run and of the data
OUT/checkpoints/best.json                         which of them validation found best, if it looks for one
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from networks.building import Network
from networks.weights import (
    TrainingOrigin,
    TrainingShape,
    TrainingSource,
    WeightCopy,
    copy_to_host,
    copy_weights,
    load_weights,
    read_weights,
    write_tensors,
    write_weights,
)
from pipeline import storage
from pipeline.errors import ConfigError, FormatError
from pipeline.records.parsing import parse_record
from trainer.loop.optimisation import WeightAverage

SCHEMA_VERSION = 3
_READABLE = (1, 2, 3)  # without `best`, with it, with `sources` too
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, kw_only=True, slots=True)
class BestCheckpoint:
    """The checkpoint whose weights validation found best. It stays, however many come after it."""

    step: int
    measure: str  # PART/MEASURE
    value: float
    averaged: bool  # of the average of the weights


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """State of a run after some steps."""

    step: int  # steps that are done
    config: Mapping[str, Any]  # the whole of it, resolved
    data: Mapping[str, Any]  # the loader's state
    num_guarded: int  # steps whose loss was too large
    num_skipped: int  # steps without loss
    licenses: tuple[str, ...]  # of every clip and every weight that went in
    start_license: str | None  # of the weights that training began from
    best: BestCheckpoint | None = None  # so far
    sources: tuple[TrainingSource, ...] = ()  # datasets and label sets, with those of the weights that training began from


@dataclass(frozen=True, kw_only=True, slots=True)
class Learner:
    """Model, optimiser and average that a checkpoint saves besides the state."""

    model: Network
    optimiser: torch.optim.AdamW
    average: WeightAverage | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LearnerCopy:
    """A learner as it was after one step, in the memory of the host."""

    weights: WeightCopy
    average: WeightCopy | None
    moments: Mapping[str, Tensor]


def copy_learner(learner: Learner, state: RunState) -> LearnerCopy:
    """Copy all that a checkpoint holds of a learner, so that training may go on while it is written."""
    origin = TrainingOrigin(sources=state.sources, licenses=state.licenses)
    about: dict[str, Any] = {"license": state.start_license, "trained_on": training_shape(state.config), "origin": origin}
    average = None
    if learner.average is not None:
        with learner.average.applied_to(learner.model):
            average = copy_weights(learner.model, **about)
    return LearnerCopy(weights=copy_weights(learner.model, **about), average=average, moments=_moments(learner))


def write_checkpoint(out: str, state: RunState, copy: LearnerCopy, *, keep: int) -> None:
    """Write a checkpoint, then delete all but the newest `keep` and the best. Raises StorageError, naming the file."""
    write_weights(_checkpoint_file(out, state.step, ".safetensors"), copy.weights)
    if copy.average is not None:
        write_weights(_checkpoint_file(out, state.step, ".average.safetensors"), copy.average)
    write_tensors(_checkpoint_file(out, state.step, ".optimiser.safetensors"), copy.moments)
    _publish_json(_checkpoint_file(out, state.step, ".json"), {"kind": "training_state", **asdict(state)})
    publish_best(out, state.best)
    for step in checkpoint_steps(out)[:-keep]:
        if state.best is None or step != state.best.step:
            _remove(out, step)


def publish_best(out: str, best: BestCheckpoint | None) -> None:
    """Write which checkpoint is best, or remove the file where none is. A run goes on from what the state of its newest checkpoint says."""
    uri = storage.join(out, "checkpoints", "best.json")
    if best is None:
        storage.remove(uri)
    else:
        weights = best_weights(out, best).rsplit("/", 1)[-1]
        _publish_json(uri, {"kind": "best_checkpoint", "weights": weights, **asdict(best)})


def best_weights(out: str, best: BestCheckpoint) -> str:
    """The file of the best weights."""
    return _checkpoint_file(out, best.step, ".average.safetensors" if best.averaged else ".safetensors")


def _publish_json(uri: str, table: Mapping[str, Any]) -> None:
    text = json.dumps({"schema_version": SCHEMA_VERSION, **table}, indent=1, sort_keys=True)
    storage.publish_bytes(uri, f"{text}\n".encode())


def checkpoint_steps(out: str) -> list[int]:
    """Steps after which a whole checkpoint was written, oldest first."""
    names = [uri.rsplit("/", 1)[-1] for uri in storage.list_files(storage.join(out, "checkpoints"))]
    return sorted(int(name[:8]) for name in names if len(name) == 13 and name[:8].isdigit() and name.endswith(".json"))


def read_state(out: str, step: int) -> RunState:
    """The state of one checkpoint. Raises FormatError for another version, ConfigError if it cannot be understood."""
    uri = _checkpoint_file(out, step, ".json")
    try:
        table = json.loads(storage.read_bytes(uri))
        version = table.pop("schema_version")
        if version not in _READABLE:
            remedy = "update trackmill" if version > SCHEMA_VERSION else "resume with the trackmill that wrote it"
            raise FormatError(f"{uri} has schema version {version}, this trackmill reads {_READABLE[0]} to {SCHEMA_VERSION}; {remedy}")
        del table["kind"]
        best = table.get("best")
        sources = tuple(parse_record(TrainingSource, source, "sources") for source in table.get("sources", ()))
        return RunState(**{**table, "licenses": tuple(table["licenses"]), "best": best and BestCheckpoint(**best), "sources": sources})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{uri} is no state of a training ({error!r}); delete it to resume from an older checkpoint") from error


def load_checkpoint(out: str, step: int, learner: Learner) -> None:
    """Load weights, average and moments into what training made. Raises ConfigError, naming the file, if they are of another network."""
    load_weights(learner.model, read_weights(_checkpoint_file(out, step, ".safetensors")))
    if learner.average is not None:
        learner.average.load(read_weights(_checkpoint_file(out, step, ".average.safetensors")).tensors)
    uri = _checkpoint_file(out, step, ".optimiser.safetensors")
    tensors = read_weights(uri).tensors
    state = learner.optimiser.state
    for name, parameter in _trainable_parameters(learner.model):
        moments = {moment: tensors[f"{moment}/{name}"] for moment in _MOMENTS if f"{moment}/{name}" in tensors}
        if not moments:
            continue  # no step has reached it so far
        if len(moments) != len(_MOMENTS) or moments["exp_avg"].shape != parameter.shape:
            raise ConfigError(f"{uri}: the moments of {name} are of another network; delete this checkpoint to resume from an older one")
        device = {"step": torch.device("cpu")}
        state[parameter] = {key: value.to(device.get(key, parameter.device), copy=True) for key, value in moments.items()}


def training_shape(config: Mapping[str, Any]) -> TrainingShape:
    """Shape of the clips that a run draws, from its whole configuration."""
    data = config["data"]
    return parse_record(TrainingShape, {**data["shape"], "strides": data["augment"]["strides"]}, "data")


def _moments(learner: Learner) -> dict[str, Tensor]:
    found = {
        name: learner.optimiser.state[parameter]
        for name, parameter in _trainable_parameters(learner.model)
        if parameter in learner.optimiser.state
    }
    tensors = {f"{key}/{name}": copy_to_host(state[key]) for name, state in found.items() for key in _MOMENTS}
    return tensors or {"none": torch.zeros(1)}  # a file of nothing cannot be told from a damaged one


def _trainable_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def _remove(out: str, step: int) -> None:
    """The state's file first: without it the others count for nothing."""
    for ending in (".json", ".optimiser.safetensors", ".average.safetensors", ".safetensors"):
        storage.remove(_checkpoint_file(out, step, ending))


def _checkpoint_file(out: str, step: int, ending: str) -> str:
    return storage.join(out, "checkpoints", f"{step:08d}{ending}")
