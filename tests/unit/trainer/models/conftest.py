"""Small models with weights that are a function of their names, and the golden vectors made with the same weights."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.trajvg_formula_weights import fill_by_formula
from trainer.models import ModelOutput, build_model

GOLDEN = Path(__file__).parents[3] / "golden" / "trajvg"


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
    dense = {"dim_proj": 16, "dim_upsample": [8, 8, 8], "last_conv_channels": 4}
    return {
        "encoder": {"img_size": 56, "embed_dim": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 2},
        "decoder": {"dim": 16, "depth": 4, "num_heads": 2, "mlp_ratio": 2, "init_values": 0.3},
        "point_decoder": {"in_dim": 32, "dec_embed_dim": 16, "depth": 1, "dec_num_heads": 2, "out_dim": 16},
        "camera_decoder": {"in_dim": 32, "dec_embed_dim": 16, "depth": 1, "dec_num_heads": 2, "out_dim": 8},
        "point_head": dense,
        "conf_head": {**dense, "dim_out": [1]},
        "camera_head": {"dim": 8},
        "track_decoder": {"dim_in": 32, "features": 8, "out_channels": [4, 4, 8, 8], "intermediate_layer_idx": [0, 0, 1, 1]},
        "track_head": {
            **{"features": 8, "iters": 2, "corr_levels": 2, "hidden_size": 16, "k_neighbors": 4},
            **{"update_depth": 1, "update_num_heads": 2, "num_virtual_tracks": 4},
        },
        "metric_decoder": {"dec_embed_dim": 16, "depth": 1, "out_dim": 8},
    }


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
