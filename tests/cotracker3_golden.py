"""CoTracker3 networks with weights that are a function of their names, and the golden vectors made with the same weights."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.formula_weights import fill_by_formula
from networks import build_model
from networks.cotracker3 import CoTracker3

GOLDEN = Path(__file__).parent / "golden" / "cotracker3"


@cache
def load_golden(name: str) -> Mapping[str, np.ndarray]:
    """Arrays of one golden file."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


@cache
def make_filled(variant: str, model_resolution: tuple[int, int] = (96, 128)) -> CoTracker3:
    """A network with weights by formula. Not to be changed."""
    model = build_model(f"cotracker3-{variant}", {"model_resolution": model_resolution}).eval().requires_grad_(False)
    fill_by_formula(model)
    return model
