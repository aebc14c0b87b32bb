"""Small models with weights that are a function of their names, and the golden vectors made with the same weights."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.trajvg_formula_weights import fill_by_formula
from networks import build_model
from networks.pi3 import ModelOutput
from tests.tiny_network import TINY

GOLDEN = Path(__file__).parents[2] / "golden" / "trajvg"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def manifest() -> Callable[[str], dict[str, Any]]:
    """Names and shapes of "pi3", "pi3x", "trajvg" or "small"."""
    return lambda name: json.loads((GOLDEN / f"manifest_{name}.json").read_text())


@pytest.fixture(scope="session")
def small_config() -> dict[str, Any]:
    return json.loads((GOLDEN / "small_config.json").read_text())


@pytest.fixture(scope="session")
def tiny_config() -> dict[str, Any]:
    """Everything there is, a few channels wide."""
    return {**TINY, "metric_decoder": {"dec_embed_dim": 16, "depth": 1, "out_dim": 8}}


def _arrays(name: str) -> Mapping[str, torch.Tensor]:
    with np.load(GOLDEN / name) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@pytest.fixture(scope="session")
def io() -> Mapping[str, torch.Tensor]:
    return _arrays("small_io.npz")


@pytest.fixture(scope="session")
def stages() -> Mapping[str, torch.Tensor]:
    return _arrays("small_stages.npz")


@pytest.fixture(scope="session")
def trajvg(small_config):
    """The small TrajVG with weights by formula. Not to be changed."""
    model = build_model("trajvg", small_config).requires_grad_(False)
    fill_by_formula(model)
    return model


@pytest.fixture(scope="session")
def pi3(small_config):
    """The small π³ with weights by formula. Not to be changed."""
    model = build_model("pi3", small_config).requires_grad_(False)
    fill_by_formula(model)
    return model


@pytest.fixture(scope="session")
def output(trajvg, io) -> ModelOutput:
    with torch.no_grad():
        return trajvg(io["imgs"], io["query_points"])


@pytest.fixture
def close() -> Callable[..., None]:
    """Equal in shape, and within an absolute tolerance."""

    def check(actual: torch.Tensor, expected: torch.Tensor, atol: float = 2e-5) -> None:
        torch.testing.assert_close(actual, expected, atol=atol, rtol=0, check_dtype=False)

    return check
