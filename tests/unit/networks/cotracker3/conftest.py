from collections.abc import Callable, Mapping

import numpy as np
import pytest

from networks.cotracker3 import CoTracker3
from tests.cotracker3_golden import load_golden, make_filled


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Mapping[str, np.ndarray]]:
    """Arrays of one golden file."""
    return load_golden


@pytest.fixture(scope="session")
def filled_model() -> Callable[..., CoTracker3]:
    """A model with weights by formula."""
    return make_filled
