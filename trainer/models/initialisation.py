"""Fresh weights, drawn from a generator in the order of the names: equal generators give equal networks."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainer.models.backbone import IMAGE_MEAN, IMAGE_STD, Backbone
from trainer.models.blocks import LayerScale
from trainer.models.camera_head import CameraHead
from trainer.models.conv_head import ConvHead, ResidualConvolutions
from trainer.models.linear_head import LinearHead

_TOKEN_DEVIATION = 0.02
_STEP_DEVIATION = 1e-3  # of the tracker's last layer: the first steps are small
_MILD = 0.1  # factor on layers whose output is exponentiated, added again and again, or turns a camera

Draw = Callable[..., Tensor]


def initialise(model: Backbone, generator: torch.Generator) -> None:
    """Overwrite every entry of a model.

    Linear layers are Xavier-uniform and convolutions normal by fan-in with zero biases, norms are the identity, tokens normal with
    deviation 0.02, branch scales as configured. Depths begin near 1, cameras near the identity, tracks near
    their start.

    Args:
        generator: on the CPU, so that every device gets the same weights.
    """
    with torch.no_grad():
        model.image_mean.copy_(torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1))
        model.image_std.copy_(torch.tensor(IMAGE_STD).view(1, 3, 1, 1))
        for name, module in model.named_modules():
            _fill(name, module, generator)
        for module in model.modules():
            _begin_mildly(module)


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
        if name.endswith("flow_head"):
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


def _begin_mildly(module: nn.Module) -> None:
    for layer in _last_layers(module):
        layer.get_parameter("weight").mul_(_MILD)
    if isinstance(module, CameraHead):
        module.fc_rot.bias.copy_(torch.eye(3).flatten())


def _last_layers(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, CameraHead):
        return [module.fc_rot, module.fc_t]
    if isinstance(module, LinearHead):
        return [module.proj]
    if isinstance(module, ConvHead):
        return [list(block.children())[-1] for block in module.output_block]
    return [module.layers[-1]] if isinstance(module, ResidualConvolutions) else []
