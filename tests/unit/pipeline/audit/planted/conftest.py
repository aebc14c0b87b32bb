"""The clip in which faults are planted."""

import pytest

from tests.unit.pipeline.audit.planted.filmed import Filmed, film


@pytest.fixture(scope="session")
def filmed() -> Filmed:
    """A rendered clip and its true tracks."""
    return film()
