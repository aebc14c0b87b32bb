"""CoTracker3's weights: from a file to a model, strictly, and under which licence."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from labelers.weight_files import read_weight_file
from pipeline.errors import ConfigError

LICENSE = "CC BY-NC 4.0 (facebookresearch/co-tracker, non-commercial)"
OFFICIAL = "hf://facebook/cotracker3/scaled_offline.pth (or scaled_online, baseline_offline, baseline_online)"

_TIME = "time_emb"  # "1 S 1110": the one entry whose shape tells the variants apart
_VARIANTS = {60: "offline", 16: "online"}  # by S
_ONLY_EARLIER = ("track_feat_updater.", "ffeat_updater.", "vis_predictor.")  # entries of CoTracker 1 and 2
_ONLY_THIS = "corr_mlp.fc1.weight"
_NUM_NAMED = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Checkpoint:
    """Weights, and what is recorded about them."""

    source: str  # as it was asked for
    path: str  # where it was read
    sha256: str  # of the file's bytes
    license: str
    state_dict: Mapping[str, Tensor]  # by the model's own names, on the CPU


def load_checkpoint(source: str, *, sha256: str | None = None, license: str = LICENSE) -> Checkpoint:
    """Read weights saved bare, under "model", or with "module." before every name.

    Args:
        source: a local path, `hf://org/repo[@revision]/file`, or a URL that fsspec can read.
        sha256: refuse any other file; None to take what is there.
        license: of the weights. The default holds for the public ones and what was trained from them; it is logged once per process.
    Raises: ConfigError for a file that is missing, damaged, another than expected, or not CoTracker3's; StorageError if it cannot be read.
    Source: loading rule of the public repository (its predictor and its training script), made one.
    """
    file = read_weight_file(source, sha256=sha256)
    state_dict = _unwrapped(file.content, source)
    _refuse_earlier_versions(state_dict, source)
    unusable = [name for name, tensor in state_dict.items() if not bool(torch.isfinite(tensor).all())]
    if unusable:
        raise ConfigError(f"{source}: {_some(unusable)} hold NaN or inf, so the training that wrote it had failed; take an earlier one")
    if license == LICENSE:
        _give_notice()
    return Checkpoint(source=source, path=file.path, sha256=file.sha256, license=license, state_dict=state_dict)


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Copy a checkpoint into a model, wherever its parameters lie. Every entry must be there, no other, in the model's shape.

    Raises: ConfigError, naming entries, and the labeler to use where the checkpoint is of the other variant. The model is unchanged then.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in checkpoint.state_dict.items()}
    shared = expected.keys() & given.keys()
    misshapen = [name for name in expected if name in shared and name != _TIME and expected[name] != given[name]]
    complaints = {
        "missing": [name for name in expected if name not in given],
        "unexpected": [name for name in given if name not in expected],
        "of another shape": [f"{name} {list(given[name])} for {list(expected[name])}" for name in misshapen],
    }
    found = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in complaints.items() if names)
    if found:
        raise ConfigError(f"{checkpoint.source} does not fit CoTracker3: of {len(expected)} entries {found}. Use {OFFICIAL}")
    if _TIME in shared and expected[_TIME] != given[_TIME]:
        raise ConfigError(_other_window(checkpoint.source, given[_TIME], expected[_TIME]))
    model.load_state_dict(checkpoint.state_dict, strict=True)


def _unwrapped(content: object, source: str) -> dict[str, Tensor]:
    inner = content["model"] if isinstance(content, Mapping) and "model" in content else content
    if not isinstance(inner, Mapping) or not inner:
        raise ConfigError(f"{source} holds {_described(inner)}, expected tensors by name, bare or under 'model'. Use {OFFICIAL}")
    others = [str(name) for name, value in inner.items() if not isinstance(name, str) or not isinstance(value, Tensor)]
    if others:
        raise ConfigError(f"{source}: {_some(others)} are no tensors, expected tensors by name, bare or under 'model'. Use {OFFICIAL}")
    prefix = "module." if all(name.startswith("module.") for name in inner) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in inner.items()}


def _refuse_earlier_versions(state_dict: Mapping[str, Tensor], source: str) -> None:
    earlier = [name for name in state_dict if name.startswith(_ONLY_EARLIER)]
    if earlier and _ONLY_THIS not in state_dict:
        raise ConfigError(
            f"{source} holds weights of an earlier CoTracker, version 1 or 2 (it has {_some(earlier)} and no {_ONLY_THIS});"
            f" this is CoTracker3. Use {OFFICIAL}"
        )


def _other_window(source: str, given: tuple[int, ...], expected: tuple[int, ...]) -> str:
    shapes = f"{_TIME} is {list(given)}, the model's {list(expected)}"
    if given[::2] != expected[::2] or len(given) != len(expected):
        return f"{source} does not fit CoTracker3: {shapes}. Use {OFFICIAL}"
    variants = [_VARIANTS.get(shape[1]) for shape in (given, expected)]
    if None in variants or variants[0] == variants[1]:
        return f"{source} was made for windows of {given[1]} frames: {shapes}; build the model with window_len={given[1]}"
    return (
        f"{source} holds weights of the {variants[0]} model, given to the {variants[1]} one: {shapes};"
        f" use --labeler cotracker3-{variants[0]}, or the checkpoint of the {variants[1]} model"
    )


def _described(content: object) -> str:
    return "nothing" if isinstance(content, Mapping) else f"a {type(content).__name__}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NUM_NAMED])
    return shown if len(names) <= _NUM_NAMED else f"{shown} and {len(names) - _NUM_NAMED} more"


@cache
def _give_notice() -> None:
    _log.warning("CoTracker3's weights are %s: for non-commercial use only; the label set records it", LICENSE)
