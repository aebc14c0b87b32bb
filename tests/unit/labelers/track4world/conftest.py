"""The small decoder with weights that are a function of their names, on geometry that is given, and the golden vectors' clip."""

import json

import pytest
import torch

from networks import build_model
from tests.track4world_golden import GOLDEN, Case, arrays, fill


@pytest.fixture(scope="module", autouse=True)
def _one_torch_thread():  # beside that of OpenCV, in the conftest above
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def io():
    return arrays("small_io.npz")


@pytest.fixture(scope="session")
def case(io):
    return Case(name="small", io=io, token_width=64)


@pytest.fixture(scope="session")
def model():
    """Not to be changed."""
    config = json.loads((GOLDEN / "small_config.json").read_text())
    return fill(build_model("track4world", {**config, "backbone": "none"})).requires_grad_(False)
