"""Fresh weights, drawn from a generator in the order of the names: equal generators give equal networks."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from networks.layers.blocks import LayerScale

_TOKEN_DEVIATION = 0.02
_STEP_DEVIATION = 1e-3  # of a tracker's last layers: the first steps are small
_STEP_LAYERS = ("flow_head", "vis_conf_head")
_SHRINK = 0.1  # factor on weights whose layers must begin near zero


@runtime_checkable
class SmallStart(Protocol):
    """A module whose output is exponentiated, added again and again, or turns a camera, and so begins near zero."""

    def shrink_initial_weights(self) -> None:
        """Change the weights just drawn, in place."""
        ...


def fill_weights(model: nn.Module, generator: torch.Generator) -> None:
    """Overwrite every parameter of a model.

    Linear layers are Xavier-uniform and convolutions normal by fan-in with zero biases, norms are the identity, tokens normal with
    deviation 0.02, branch scales as configured; then modules that begin near zero shrink theirs. Depths begin near 1, cameras near
    the identity, tracks near their start.

    Args:
        generator: on the CPU.
    """
    with torch.no_grad():
        for name, module in model.named_modules():
            _fill(name, module, generator)
        for module in model.modules():
            if isinstance(module, SmallStart):
                module.shrink_initial_weights()


def shrink_weight(layer: nn.Module) -> None:
    """Make a layer's weight small, in place."""
    layer.get_parameter("weight").mul_(_SHRINK)


def _fill(name: str, module: nn.Module, generator: torch.Generator) -> None:
    if isinstance(module, nn.LayerNorm | nn.GroupNorm):
        module.weight.fill_(1.0)
        module.bias.zero_()
    elif isinstance(module, LayerScale):
        module.gamma.fill_(module.init_value)
    elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        module.weight.copy_(_weight(name, module, generator))
        if module.bias is not None:
            module.bias.zero_()
    else:
        for parameter in module.parameters(recurse=False):
            parameter.copy_(_normal(parameter.shape, _TOKEN_DEVIATION, generator))


def _weight(name: str, module: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, generator: torch.Generator) -> Tensor:
    shape = module.weight.shape
    if isinstance(module, nn.Linear):
        if name.endswith(_STEP_LAYERS):
            return _normal(shape, _STEP_DEVIATION, generator)
        bound = (6 / (shape[0] + shape[1])) ** 0.5
        return torch.rand(shape, generator=generator, device="cpu") * (2 * bound) - bound
    inputs = shape[0] if isinstance(module, nn.ConvTranspose2d) else shape[1:].numel()
    weight = _normal(shape, inputs**-0.5, generator)
    if isinstance(module, nn.ConvTranspose2d):  # begins as a repetition of each value, without a pattern of its own
        weight = weight[..., :1, :1].expand(shape)
    return weight


def _normal(shape: torch.Size, deviation: float, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device="cpu") * deviation
