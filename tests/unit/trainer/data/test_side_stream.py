"""Order of copies and computing, by a stand-in for the streams of a device, which CI has not; on the CPU there is none to keep."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from trainer.data.side_stream import SideStream


class Stream:
    """Keeps the marks that it waits for."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.num_marks, self.waits_for = 0, []

    def record_event(self) -> tuple["Stream", int]:
        self.num_marks += 1
        return self, self.num_marks

    def wait_event(self, mark: tuple["Stream", int]) -> None:
        self.waits_for.append(mark)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    state = SimpleNamespace(computing=Stream(), kept=[])
    state.current = state.computing
    monkeypatch.setattr(torch, "Stream", Stream)
    monkeypatch.setattr(torch.accelerator, "current_stream", lambda device: state.current)
    monkeypatch.setattr(torch.accelerator, "set_stream", lambda stream: setattr(state, "current", stream))
    return state


def test_a_step_waits_for_its_own_copies_and_not_for_those_of_the_next(device: SimpleNamespace) -> None:
    side, marks = SideStream(torch.device("cuda")), []
    for _ in range(2):
        with side.filling():
            assert device.current is not device.computing
        marks.append(side.mark())
    batch: Any = SimpleNamespace(keep_for=device.kept.append)
    assert side.hand_over(batch, marks[0]) is batch
    assert device.computing.waits_for == [marks[0]] != [marks[1]]
    assert device.kept == [device.computing]  # memory of the side stream is not free before computing is done with it
    assert side.overlaps


def test_computing_goes_on_in_its_stream_after_an_error(device: SimpleNamespace) -> None:
    side = SideStream(torch.device("cuda"))
    with pytest.raises(ValueError, match="clips of two sizes"), side.filling():
        raise ValueError("clips of two sizes")
    assert device.current is device.computing


def test_the_cpu_has_none() -> None:
    side = SideStream(torch.device("cpu"))
    with side.filling():
        assert torch.ones(1).sum() == 1
    assert (side.overlaps, side.mark()) == (False, None)
