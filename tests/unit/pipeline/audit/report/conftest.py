"""The audited dataset as a fixture."""

from pathlib import Path

import cv2
import pytest

from tests.unit.pipeline.audit.report.audited import Audited, make_audited


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    cv2.setNumThreads(1)


@pytest.fixture(name="audited", scope="session")
def _audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """To be left as it is."""
    return make_audited(tmp_path_factory.mktemp("audited") / "root")


@pytest.fixture(name="own")
def _own(tmp_path: Path) -> Audited:
    """A dataset that the test may damage."""
    return make_audited(tmp_path / "root")
