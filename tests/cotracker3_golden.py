"""CoTracker3 networks with weights that are a function of their names, and the golden vectors made with the same weights."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import torch

from benchmarks.formula_weights import formula_state_dict
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
    """A network with weights by formula, which all of them share. Not to be changed."""
    with torch.device("meta"):  # nothing is drawn, which would take longer than most tests
        model = build_model(f"cotracker3-{variant}", {"model_resolution": model_resolution}).eval().requires_grad_(False)
    model.to_empty(device="cpu")
    model.fill_constants()
    model.load_state_dict(_formula_weights(), strict=False, assign=True)
    return cast(CoTracker3, model)


@cache
def _formula_weights() -> Mapping[str, torch.Tensor]:
    """Weights of either variant: their names and shapes are the same, but for the time embedding, which is computed."""
    with torch.device("meta"):
        shapes = {name: tuple(entry.shape) for name, entry in build_model("cotracker3-offline").state_dict().items()}
    return formula_state_dict(shapes)
