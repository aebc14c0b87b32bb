"""Weights of π³, Pi3X and TrajVG that are a function of their names: the same numbers on every machine, no checkpoint stored.

They are no trained weights: geometry and tracks made with them mean nothing. They exercise every part with signals of sensible size;
what reads waves of many octaves is damped, so that float noise is not amplified.
"""

from zlib import crc32

import numpy as np
import torch
from torch import nn

_CONSTANTS = ("image_mean", "image_std")
_OCTAVES = np.arange(-2, 14)


def fill_by_formula(model: nn.Module) -> None:
    """Overwrite every entry of a model's state_dict but the images' mean and deviation, in place."""
    with torch.no_grad():
        for name, entry in model.state_dict().items():
            if name not in _CONSTANTS:
                entry.copy_(torch.from_numpy(formula_weight(name, tuple(entry.shape))))


def formula_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One entry: normal noise drawn from the name's checksum, scaled by what the entry is; all arithmetic in float32."""
    noise = np.random.Generator(np.random.PCG64(crc32(name.encode()))).standard_normal(shape).astype(np.float32)
    last = name.rpartition(".")[2]
    if last == "gamma":
        return np.float32(0.5) * (np.float32(1) + np.float32(0.1) * noise)
    if last == "bias":
        return np.float32(0.05) * noise
    if last != "weight":
        return np.float32(0.5) * noise
    if len(shape) == 1:
        return np.float32(1) + np.float32(0.1) * noise
    return _damped(name, noise * np.float32(1 / np.sqrt(np.prod(shape[1:]))))


def _damped(name: str, weight: np.ndarray) -> np.ndarray:
    if name.endswith("flow_head.weight"):
        return weight * np.float32(0.1)
    if ".posenc_mlps." in name and name.endswith("fc1.weight"):
        return weight * _damping(4)
    if name.endswith("updateformer.input_transform.weight"):
        factors = np.ones(weight.shape[1], np.float32)
        factors[1:199] = np.tile(_damping(3), 2)
        return weight * factors
    return weight


def _damping(dimensions: int) -> np.ndarray:
    waves = np.repeat(np.minimum(1, 2.0**-_OCTAVES), dimensions)
    return np.concatenate([np.ones(dimensions), waves, waves]).astype(np.float32)
