"""Models with weights that are a function of their names, and the golden vectors made with the same weights."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.formula_weights import fill_by_formula
from labelers.cotracker3 import build_model

GOLDEN = Path(__file__).parents[3] / "golden" / "cotracker3"


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Mapping[str, np.ndarray]]:
    """Arrays of one golden file."""

    @cache
    def load(name: str) -> Mapping[str, np.ndarray]:
        with np.load(GOLDEN / f"{name}.npz") as file:
            return dict(file)

    return load


@pytest.fixture(scope="session")
def filled_model() -> Callable[..., torch.nn.Module]:
    """A model with weights by formula."""

    @cache
    def make(variant: str, model_resolution: tuple[int, int] = (96, 128)) -> torch.nn.Module:
        model = build_model(variant, model_resolution=model_resolution).eval().requires_grad_(False)
        fill_by_formula(model)
        return model

    return make


@pytest.fixture(autouse=True)
def _one_thread():
    """Threads wait for each other, long where other processes have the cores; these tensors are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
