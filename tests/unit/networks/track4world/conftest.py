"""The small decoder with weights that are a function of their names, the golden vectors made with the same weights, and their bundles."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from networks import build_model
from tests.track4world_golden import GOLDEN, Case, arrays, fill


@pytest.fixture(scope="session")
def manifest():
    return lambda name: json.loads((GOLDEN / f"manifest_{name}.json").read_text())


@pytest.fixture(scope="session")
def small_config() -> dict[str, Any]:
    return {**json.loads((GOLDEN / "small_config.json").read_text()), "backbone": "none"}


@pytest.fixture(scope="session")
def small(small_config):
    """The small decoder. Not to be changed."""
    return fill(build_model("track4world", small_config)).requires_grad_(False)


@pytest.fixture(scope="session")
def io() -> Mapping[str, torch.Tensor]:
    return arrays("small_io.npz")


@pytest.fixture(scope="session")
def stages() -> Mapping[str, torch.Tensor]:
    return arrays("small_stages.npz")


@pytest.fixture(scope="session")
def case(io, small_config) -> Case:
    return Case(name="small", io=io, token_width=small_config["dim_feature"])
