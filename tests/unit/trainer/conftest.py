"""Golden values of the losses, small scenes, and one thread."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from trainer.families.trajvg.tracking import NormalisedTracks
from trainer.losses import ClipGeometry, TrackObservations

GOLDEN = Path(__file__).parents[2] / "golden" / "trajvg" / "losses.npz"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def golden() -> Mapping[str, Tensor]:
    """All entries, float64 where they are floats, without a batch axis. Not to be changed."""
    with np.load(GOLDEN) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@pytest.fixture
def close() -> Callable[..., None]:
    """Equal within 1e-6 of the value, as the golden file asks."""

    def check(actual: Tensor, expected: Tensor, rtol: float = 1e-6, atol: float = 1e-12) -> None:
        torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol, check_dtype=False)

    return check


@pytest.fixture
def golden_clip(golden) -> tuple[ClipGeometry, TrackObservations, NormalisedTracks]:
    """The golden file's clip: leaves that take gradient, what was seen, what is true."""
    prediction = ClipGeometry(
        local_points=golden["pointmap"][None].clone().requires_grad_(),
        camera_to_world=golden["poses"][None].clone().requires_grad_(),
        tracks=golden["p_hat"][None].clone().requires_grad_(),
    )
    observed = TrackObservations(tracks_px=golden["q"][None], frame_weights=golden["w"][None])
    truth = NormalisedTracks(
        camera_points=torch.zeros_like(golden["p_bar"])[None],
        anchor_points=golden["p_bar"][None],
        track_valid=torch.ones_like(golden["gt_visible"])[None],
        visibility=golden["gt_visible"][None],
        static=golden["static_mask"][None],
    )
    return prediction, observed, truth
