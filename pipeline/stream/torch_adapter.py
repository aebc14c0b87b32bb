"""The stream behind a torch DataLoader, for decoding in worker processes. The one file here that imports torch."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from pipeline.errors import TrackmillError
from pipeline.records import ClipSample
from pipeline.stream.assemble import SkippedClip
from pipeline.stream.audits import announce_unjudged
from pipeline.stream.config import StreamConfig
from pipeline.stream.mixture import MixtureConfig, open_stream

T = TypeVar("T")


class _Share(IterableDataset[ClipSample | SkippedClip]):
    """TorchClipDataset without log messages, for processes whose parent has logged them."""

    def __init__(self, config: StreamConfig | MixtureConfig, state: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.config = config
        self.state = state

    def __iter__(self) -> Iterator[ClipSample | SkippedClip]:
        stream = open_stream(self.config, announce=False)  # not once per worker
        if self.state is not None:
            stream.load_state_dict(self.state)
        worker = get_worker_info()
        if worker is None:
            return stream.items()
        return stream.items(worker=worker.id, num_workers=worker.num_workers)


class TorchClipDataset(_Share):
    """One rank's share of a ClipStream or MixtureStream, dealt to the DataLoader's workers in turn; use it with `batch_size=None`.

    The DataLoader takes from its workers in turn as well, so that the samples come in the order of a single process. With
    `on_error="skip"` a clip that cannot be read comes as a SkippedClip, which keeps the turns in step: ResumableLoader takes
    them out again. A stream is opened where it is read, so that nothing open crosses into a worker, forked or spawned.

    Args:
        state: where to begin, from `state_dict()` of a stream or loader.
    """

    def __init__(self, config: StreamConfig | MixtureConfig, state: dict[str, Any] | None = None) -> None:
        super().__init__(config, state)
        for part in (config,) if isinstance(config, StreamConfig) else (part for part, _ in config.parts):
            announce_unjudged(part)


class ResumableLoader:
    """The samples of a ClipStream or MixtureStream, decoded ahead in worker processes.

    `state_dict()` counts what was delivered, not what was read ahead. Iteration and state mean what they mean for ClipStream.
    Samples hold numpy arrays.
    """

    def __init__(
        self, config: StreamConfig | MixtureConfig, *, num_workers: int = 0, prefetch_factor: int = 2, start_method: str | None = None
    ) -> None:
        """Args:
        num_workers: decoding processes; 0 decodes in this one.
        prefetch_factor: samples that each worker reads ahead.
        start_method: fork, spawn or forkserver; None takes the platform's default.
        """
        self._stream = open_stream(config)
        self._num_workers = num_workers
        self._options: dict[str, Any] = {"prefetch_factor": prefetch_factor, "multiprocessing_context": start_method} if num_workers else {}
        self._start: dict[str, Any] | None = None

    @property
    def num_skipped(self) -> int:
        """Clips that could not be read, so far."""
        return self._stream.num_skipped

    def __iter__(self) -> Iterator[ClipSample]:
        loader = DataLoader(
            _ErrorsAsItems(_Share(self._stream.config, self._start)),
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=self._num_workers,
            generator=torch.Generator(),  # its own, so that making workers draws nothing from torch's global one
            **self._options,
        )
        return self._stream.follow(_raise_errors(loader))

    def state_dict(self) -> dict[str, Any]:
        """See ClipStream.state_dict."""
        return self._stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ClipStream.load_state_dict."""
        self._stream.load_state_dict(state)
        self._start = state


class _ErrorsAsItems(IterableDataset[ClipSample | SkippedClip | TrackmillError]):
    """Hands an error over as the last item: raised in a worker it would arrive wrapped in a page of torch's traceback, and
    keep the workers waiting for as long as somebody holds it."""

    def __init__(self, dataset: _Share) -> None:
        super().__init__()
        self._dataset = dataset

    def __iter__(self) -> Iterator[ClipSample | SkippedClip | TrackmillError]:
        try:
            yield from self._dataset
        except TrackmillError as error:
            yield error


def _raise_errors(items: Iterable[ClipSample | SkippedClip | TrackmillError]) -> Iterator[ClipSample | SkippedClip]:
    for item in items:
        if isinstance(item, TrackmillError):
            raise item
        yield item


def _as_it_is(item: T) -> T:
    return item
