"""Networks by name. A network's module, and torch, are imported when it is asked for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pipeline.errors import ConfigError
from pipeline.records.factories import load_factory

if TYPE_CHECKING:
    import torch

    from networks.building import Network

MODELS = {
    "pi3": "networks.pi3.pi3:Pi3",
    "pi3x": "networks.pi3.pi3:Pi3X",
    "trajvg": "networks.trajvg.trajvg:TrajVG",
    "cotracker3-offline": "networks.cotracker3.models:CoTracker3Offline",
    "cotracker3-online": "networks.cotracker3.models:CoTracker3Online",
    "dust3r": "networks.st4rtrack.network:DUSt3R",
    "mast3r": "networks.st4rtrack.network:MASt3R",
    "st4rtrack": "networks.st4rtrack.network:St4RTrack",
    "track4world": "networks.track4world.network:Track4World",
    "chain-refiner": "networks.chain_refiner.network:ChainRefiner",
}


def build_model(name: str, config: Mapping[str, Any] | None = None, *, generator: "torch.Generator | None" = None) -> "Network":
    """Build a network with fresh weights on torch's default device, in training mode.

    Under `torch.device("meta")` it has names and shapes only. Torch's global generator is neither read nor advanced.

    Args:
        name: one of MODELS.
        config: fields of the network's `config_type`; None, and what is left out, for the public checkpoints' sizes. Sizes by section
            for pi3, pi3x and trajvg (`networks.pi3.config`); {"model_resolution": (H, W)} for CoTracker3; `networks.st4rtrack.TwinConfig`
            for dust3r, mast3r and st4rtrack; `networks.track4world.Track4WorldConfig` for track4world.
        generator: where the weights are drawn from, on the CPU; None for one of seed 0.
    Raises: ConfigError for an unknown name, an unknown field, or sizes that do not fit each other.
    """
    return network_class(name).build(config, generator)


def network_class(name: str) -> "type[Network]":
    """Class of a named network. Raises ConfigError for an unknown one."""
    if name not in MODELS:
        raise ConfigError(f"there is no model {name!r}; there are {', '.join(MODELS)}")
    return cast("type[Network]", load_factory(MODELS[name], "model"))


def model_name(model: "Network") -> str:
    """Registry name of a network's class."""
    place = f"{type(model).__module__}:{type(model).__qualname__}"
    return next(name for name, entry in MODELS.items() if entry == place)
