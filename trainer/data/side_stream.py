"""Copies to a device that run beside its computing."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainer.data.batches import StepBatch

_WITHOUT_STREAMS = ("cpu", "mps", "meta")


class SideStream:
    """A stream of the device for what is asked of it within `filling`; on a device without streams nothing is different there."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = None if device.type in _WITHOUT_STREAMS else torch.Stream(device)

    @property
    def overlaps(self) -> bool:
        """Whether copies run beside computing."""
        return self._stream is not None

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Ask within the block for copies and for what is made of them."""
        if self._stream is None:
            yield
            return
        computing = torch.accelerator.current_stream(self._device)
        torch.accelerator.set_stream(self._stream)
        try:
            yield
        finally:
            torch.accelerator.set_stream(computing)

    def mark(self) -> torch.Event | None:
        """Mark of all that was asked for so far."""
        return None if self._stream is None else self._stream.record_event()

    def hand_over(self, batch: StepBatch, ready: torch.Event | None) -> StepBatch:
        """The batch, for the device's computing, which begins with it when it is there; this process does not wait.

        Args:
            ready: mark after the batch was asked for.
        """
        if ready is not None:
            computing = torch.accelerator.current_stream(self._device)
            computing.wait_event(ready)
            batch.keep_for(computing)
        return batch
