"""Checkpoints of a run: weights, optimiser and state, committed by the state's file, so that a run can be killed at any moment.

OUT/checkpoints/00001000.safetensors              weights, as `networks.weights` loads them
OUT/checkpoints/00001000.average.safetensors      their average, where one is kept
OUT/checkpoints/00001000.optimiser.safetensors    AdamW's moments
OUT/checkpoints/00001000.json                     written last: state of the run and of the data
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from networks.building import Network
from networks.weights import TrainingShape, load_weights, read_weights, save_weights
from pipeline import storage
from pipeline.errors import ConfigError, FormatError
from pipeline.records.parsing import parse_record
from trainer.loop.optimisation import WeightAverage

SCHEMA_VERSION = 1
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Learner:
    """Model, optimiser and average that a checkpoint saves besides the state."""

    model: Network
    optimiser: torch.optim.AdamW
    average: WeightAverage | None


def save_checkpoint(out: str, state: RunState, learner: Learner, *, keep: int) -> str:
    """Write a checkpoint and delete all but the newest `keep`. Returns the weights' file. Raises StorageError."""
    weights = _checkpoint_file(out, state.step, ".safetensors")
    save = partial(save_weights, license=state.start_license, trained_on=training_shape(state.config))
    save(weights, learner.model)
    if learner.average is not None:
        with learner.average.applied_to(learner.model):
            save(_checkpoint_file(out, state.step, ".average.safetensors"), learner.model)
    with storage.publishing(_checkpoint_file(out, state.step, ".optimiser.safetensors")) as path:
        safetensors.torch.save_file(_moments(learner), path)
    table = {"schema_version": SCHEMA_VERSION, "kind": "training_state", **asdict(state)}
    storage.publish_bytes(_checkpoint_file(out, state.step, ".json"), (json.dumps(table, indent=1, sort_keys=True) + "\n").encode())
    for step in checkpoint_steps(out)[:-keep]:
        _remove(out, step)
    return weights


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
        if version != SCHEMA_VERSION:
            remedy = "update trackmill" if version > SCHEMA_VERSION else "resume with the trackmill that wrote it"
            raise FormatError(f"{uri} has schema version {version}, this trackmill reads {SCHEMA_VERSION}; {remedy}")
        del table["kind"]
        return RunState(**{**table, "licenses": tuple(table["licenses"])})
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
    tensors = {f"{key}/{name}": state[key].detach().cpu().contiguous() for name, state in found.items() for key in _MOMENTS}
    return tensors or {"none": torch.zeros(1)}  # a file of nothing cannot be told from a damaged one


def _trainable_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def _remove(out: str, step: int) -> None:
    """The state's file first: without it the others count for nothing."""
    for ending in (".json", ".optimiser.safetensors", ".average.safetensors", ".safetensors"):
        storage.remove(_checkpoint_file(out, step, ending))


def _checkpoint_file(out: str, step: int, ending: str) -> str:
    return storage.join(out, "checkpoints", f"{step:08d}{ending}")
