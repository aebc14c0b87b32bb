from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest
import torch

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


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads wait for each other, long where other processes have the cores; these tensors are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
