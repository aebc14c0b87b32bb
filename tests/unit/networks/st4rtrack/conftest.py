"""The small twin networks with weights that are a function of their names, and the golden vectors made with the same weights."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.trajvg_formula_weights import formula_weight
from networks import build_model

GOLDEN = Path(__file__).parents[3] / "golden" / "st4rtrack"


def fill(model: nn.Module) -> nn.Module:
    """Weights by formula; the second names of a tensor stand for the first."""
    seconds = model.aliases()
    with torch.no_grad():
        for name, entry in model.state_dict().items():
            if name not in seconds:
                factor = np.float32(0.1 if name.endswith("dpt.head.4.weight") else 1)
                entry.copy_(torch.from_numpy(formula_weight(name, tuple(entry.shape)) * factor))
    return model


@pytest.fixture(scope="session")
def manifest():
    return lambda name: json.loads((GOLDEN / f"manifest_{name}.json").read_text())


@pytest.fixture(scope="session")
def small_config() -> dict[str, Any]:
    return json.loads((GOLDEN / "small_config.json").read_text())


def arrays(name: str) -> Mapping[str, torch.Tensor]:
    with np.load(GOLDEN / name) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@pytest.fixture(scope="session")
def io() -> Mapping[str, torch.Tensor]:
    return arrays("small_io.npz")


@pytest.fixture(scope="session")
def stages() -> Mapping[str, torch.Tensor]:
    return arrays("small_stages.npz")


@pytest.fixture(scope="session")
def twin(small_config):
    """The small networks by name. Not to be changed."""
    built = {name: fill(build_model(name, small_config)).requires_grad_(False) for name in ("st4rtrack", "mast3r")}
    built["linear"] = fill(build_model("dust3r", {**small_config, "head_type": "linear"})).requires_grad_(False)
    return built


@pytest.fixture(scope="session")
def st4rtrack(twin):
    return twin["st4rtrack"]
