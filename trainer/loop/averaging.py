"""An exponential moving average of the weights: steadier than the weights themselves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Average of all floating parameters that learn; it begins as they are."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._average = {name: parameter.detach().clone() for name, parameter in _learning(model)}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step's weights in."""
        for name, parameter in _learning(model):
            self._average[name].lerp_(parameter, 1 - self._decay)

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """The model with averaged weights while the block lasts."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue a saved average. Args: tensors: by parameter name; others are not looked at."""
        for name, average in self._average.items():
            average.copy_(tensors[name])

    @torch.no_grad()
    def _swap(self, model: nn.Module) -> None:
        for name, parameter in _learning(model):
            kept = parameter.detach().clone()
            parameter.copy_(self._average[name])
            self._average[name].copy_(kept)


def _learning(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    yield from ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
