"""Parts of a network that do not learn."""

from collections.abc import Sequence

from torch import nn

from pipeline.errors import ConfigError


def freeze(model: nn.Module, parts: Sequence[str]) -> None:
    """Take the gradient from parts, named as in the state_dict up to the first or any later dot: "encoder", "track_head.tracker".

    Raises: ConfigError for a name that the network does not have.
    """
    for part in parts:
        found = [parameter for name, parameter in model.named_parameters() if name == part or name.startswith(f"{part}.")]
        if not found:
            tops = dict.fromkeys(name.split(".")[0] for name, _ in model.named_parameters())
            raise ConfigError(f"frozen: the network has no part {part!r}; it has {', '.join(tops)}")
        for parameter in found:
            parameter.requires_grad_(False)
