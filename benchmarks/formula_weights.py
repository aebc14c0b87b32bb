"""CoTracker3 weights that are a function of their names: the same numbers on every machine, so that no checkpoint need be stored.

They are no trained weights: tracks made with them follow nothing. They exercise every part of the network with signals of sensible size.
"""

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

_CONSTRUCTED = "time_emb"  # the buffer that the model computes; left as it is
_VISIBILITY_AND_CONFIDENCE_BIAS = (-1.4, -0.3)  # so that both probabilities lie on either side of their thresholds
_GAINS = {
    "corr_mlp.fc1.weight": 4.0,
    "corr_mlp.fc2.weight": 2.0,
    "updateformer.flow_head.weight": 0.25,
    "updateformer.vis_conf_head.weight": 0.25,
}


def fill_by_formula(model: nn.Module) -> None:
    """Overwrite every entry of a CoTracker3 model's state_dict but `time_emb`, in place, on the device and in the dtype that it has."""
    with torch.no_grad():
        for name, entry in model.state_dict().items():
            if name != _CONSTRUCTED:
                entry.copy_(torch.from_numpy(_value(name, tuple(entry.shape))))


def formula_state_dict(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """The weights for these names and shapes, float32, without `time_emb`."""
    return {name: torch.from_numpy(_value(name, tuple(shape))) for name, shape in shapes.items() if name != _CONSTRUCTED}


def _value(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Normal noise drawn from the name's checksum, scaled by what the entry is; all arithmetic in float32."""
    noise = np.random.Generator(np.random.PCG64(crc32(name.encode()))).standard_normal(shape).astype(np.float32)
    if name == "updateformer.virual_tracks":  # spelled so in the public checkpoints
        return np.float32(0.5) * noise
    if name.endswith("norm_context.weight"):
        return np.float32(1) + np.float32(0.1) * noise
    if len(shape) >= 2:
        return noise * np.float32(_GAINS.get(name, 1.0) / np.sqrt(float(np.prod(shape[1:]))))
    bias = np.float32(0.05) * noise
    return bias + np.array(_VISIBILITY_AND_CONFIDENCE_BIAS, np.float32) if name == "updateformer.vis_conf_head.bias" else bias
