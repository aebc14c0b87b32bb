"""Tracks whose probability of being bad is a known function of two measures."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.audit.calibrating.samples import TrackSamples
from pipeline.audit.records import measure_names


def drawn(seed: int, *, name: str, num_clips: int = 6, per_clip: int = 500, slope: float = 1.5) -> TrackSamples:
    """log odds of bad = -1 + slope z, with z standard normal; ncc_mean = 1 - (0.3 + 0.1 z), neigh_max is noise, jump half unknown."""
    rng = np.random.default_rng(seed)
    size = num_clips * per_clip
    z = rng.standard_normal(size)
    bad = rng.random(size) < 1 / (1 + np.exp(1 - slope * z))
    measures = {each: np.full(size, np.nan, np.float32) for each in measure_names()}
    measures["ncc_mean"] = (0.7 - 0.1 * z).astype(np.float32)
    measures["neigh_max"] = rng.exponential(2.0, size).astype(np.float32)
    measures["jump"] = np.where(rng.random(size) < 0.5, np.nan, 1.0 + z**2).astype(np.float32)
    measures["len"] = np.full(size, 24, np.float32)
    return TrackSamples(
        measures=measures,
        max_error_px=np.where(bad, 9.0, 1.0),
        median_error_px=np.where(bad, 3.0, 0.5),
        clip=np.repeat(np.arange(num_clips), per_clip).astype(np.int64),
        dataset=np.zeros(size, np.int64),
        datasets=(name,),
    )


@pytest.fixture(scope="session")
def draw() -> Callable[..., TrackSamples]:
    return drawn
