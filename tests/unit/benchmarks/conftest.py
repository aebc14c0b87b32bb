"""Benchmarks as modules: they import each other by name, as scripts of one folder."""

from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def _beside_the_benchmarks():
    """Found by name; one thread, as nothing here is large enough for more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield
    torch.set_num_threads(threads)
