"""Survivors to samples, one by one, with the patience that the configuration asks for."""

import logging
from dataclasses import dataclass

from pipeline.border import border
from pipeline.errors import DataError, StorageError, UnexpectedError
from pipeline.records import ClipSample
from pipeline.stream.assemble import assemble
from pipeline.stream.config import StreamConfig
from pipeline.stream.survivors import Survivor

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedClip:
    """Stands for a clip that could not be read, so that workers' turns stay in step."""

    key: str
    index: int


class ItemReader:
    """Reads clips of one dataset, and counts how many on end could not be read."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._skips_in_row = 0

    def read(self, survivor: Survivor) -> ClipSample | SkippedClip:
        """One clip. Raises: DataError or StorageError if it cannot be read, unless `on_error` is "skip"."""
        try:
            item = self._assembled(survivor)
        except (DataError, StorageError) as error:
            self._skips_in_row += 1
            if self._config.on_error == "raise" or self._skips_in_row > self._config.max_skips_in_row:
                raise
            _log.warning("skipped: %s", error)
            return SkippedClip(key=survivor.entry.key, index=survivor.index)
        self._skips_in_row = 0
        return item

    def _assembled(self, survivor: Survivor) -> ClipSample:
        where = f"{self._config.root}: shard {survivor.shard:06d}, clip {survivor.entry.key}"
        try:
            with border(where):
                return assemble(self._config, survivor)
        except UnexpectedError as error:
            raise UnexpectedError(f'{error}; make this shard again, or stream with on_error="skip"', error.kind, error.trace) from error
