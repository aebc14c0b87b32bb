"""AdamW over the parts that learn, its one-cycle schedule, and the moving average of the weights.

The learning rate is a function of the step alone, so resuming needs no state.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError

# of π³ and TrajVG, of the twin networks, of Track4World's backbone
_ENCODERS = ("encoder.", "patch_embed.", "enc_blocks.", "backbone.encoder.")
_SCALES = "layer_scale"  # parameters of this name scale a branch's channels, whatever their shape


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimiserSettings:
    """AdamW under OneCycle; the defaults are π³'s [π³ code]. TrajVG's paper states none."""

    learning_rate: float = 5e-5  # at the top of the cycle
    encoder_learning_rate: float = 5e-6
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05  # of tensors of two or more dimensions but layer scales; others have none
    warm_share: float = 0.0  # of the steps, in which the rate rises
    start_divisor: float = 1000.0  # the first rate is the highest / this; without warm share it begins near the top
    end_divisor: float = 100.0  # the last rate is the highest / start_divisor / this
    clip_norm: float = 1.0  # of the gradient

    def __post_init__(self) -> None:
        for name in ("learning_rate", "encoder_learning_rate", "start_divisor", "end_divisor", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected more than 0")
        if not 0 <= self.warm_share < 1 or not 0 <= self.weight_decay < math.inf or not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(
                f"warm_share is {self.warm_share}, betas {self.betas}, weight_decay {self.weight_decay}; expected shares in [0, 1)"
                " and a decay of 0 or more"
            )


def rate_factor(step: int, steps: int, settings: OptimiserSettings) -> float:
    """Share of the highest learning rate at a step: up from 1 / start_divisor and down again along cosines, the last step the lowest.

    Args:
        step: from 0 to steps - 1.
    """
    lowest = 1 / settings.start_divisor
    top = settings.warm_share * steps - 1  # the step of the highest rate, as OneCycle counts it
    if step <= top:
        return _cosine(lowest, 1.0, step / top if top > 0 else 1.0)
    return _cosine(1.0, lowest / settings.end_divisor, (step - top) / (steps - 1 - top))


def make_optimiser(model: nn.Module, settings: OptimiserSettings) -> torch.optim.AdamW:
    """AdamW over all parameters that are not frozen: the encoder at its own rate; biases, norms and layer scales without decay.

    Raises: ConfigError if everything is frozen.
    """
    free = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not free:
        raise ConfigError("every part of the network is frozen; free one of them")
    groups = [
        _group(
            (parameter for name, parameter in free if name.startswith(_ENCODERS) == in_encoder and _decays(name, parameter) == decays),
            settings.encoder_learning_rate if in_encoder else settings.learning_rate,
            settings.weight_decay if decays else 0.0,
        )
        for in_encoder in (True, False)
        for decays in (True, False)
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], betas=settings.betas)


def set_rate(optimiser: torch.optim.AdamW, factor: float) -> None:
    """Set every group's rate to a share of its highest."""
    for group in optimiser.param_groups:
        group["lr"] = group["highest_lr"] * factor


def _decays(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim >= 2 and not name.endswith(_SCALES)


def _group(parameters: Iterable[nn.Parameter], rate: float, decay: float) -> dict[str, Any]:
    return {"params": list(parameters), "lr": rate, "highest_lr": rate, "weight_decay": decay}


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


class WeightAverage:
    """Average of all parameters that learn, starting at their present values."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._average = {name: parameter.detach().clone() for name, parameter in _trainable_parameters(model)}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Add one step's weights to the average."""
        for name, parameter in _trainable_parameters(model):
            self._average[name].lerp_(parameter, 1 - self._decay)

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """The model with averaged weights while the block lasts."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue a saved average. Args: tensors: by parameter name; others are ignored."""
        for name, average in self._average.items():
            average.copy_(tensors[name])

    @torch.no_grad()
    def _swap(self, model: nn.Module) -> None:
        for name, parameter in _trainable_parameters(model):
            kept = parameter.detach().clone()
            parameter.copy_(self._average[name])
            self._average[name].copy_(kept)


def _trainable_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    yield from ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """Norm of the gradient of each part that has one; parts are named up to the first dot, as in `freeze`."""
    gradients: dict[str, list[Tensor]] = defaultdict(list)
    for name, parameter in _trainable_parameters(model):
        if parameter.grad is not None:
            gradients[name.split(".")[0]].append(parameter.grad)
    if not gradients:
        return {}
    norms = torch.stack([torch.nn.utils.get_total_norm(of_part) for of_part in gradients.values()])
    return dict(zip(gradients, norms.tolist(), strict=True))


def freeze(model: nn.Module, parts: Sequence[str]) -> None:
    """Exclude parts from training; they are named as in the state_dict up to the first or any later dot: "encoder", "track_head.tracker".

    Raises: ConfigError for a name that the network does not have.
    """
    for part in parts:
        found = [parameter for name, parameter in model.named_parameters() if name == part or name.startswith(f"{part}.")]
        if not found:
            tops = dict.fromkeys(name.split(".")[0] for name, _ in model.named_parameters())
            raise ConfigError(f"frozen: the network has no part {part!r}; it has {', '.join(tops)}")
        for parameter in found:
            parameter.requires_grad_(False)
