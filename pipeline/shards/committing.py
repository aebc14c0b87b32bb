"""The tar of a planned shard, byte for byte as by webdataset's writer, and its commit: first the tar, then the errors, last the index."""

import io
import logging
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np

from pipeline import storage
from pipeline.errors import DataError
from pipeline.layout import Layout
from pipeline.records import ClipRecord
from pipeline.shards.errors_table import ErrorRow, write_errors
from pipeline.shards.index import ARRAYS, ClipEntry, Member, write_index
from pipeline.shards.plan import PlannedClip, shard_hash
from pipeline.shards.suspects import hold_back_suspects
from pipeline.video.reader import VideoData

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class TarSample:
    """One clip ready to be written."""

    record: ClipRecord
    video: VideoData  # one video file, or the clip's image files in order
    document: bytes  # the .json member
    arrays: bytes | None = None  # the .arrays.npz member

    def members(self) -> dict[str, bytes]:
        """The sample's files by their suffix."""
        pictures = {"mp4": self.video} if isinstance(self.video, bytes) else self._images(self.video)
        return {**pictures, "json": self.document, **({} if self.arrays is None else {ARRAYS: self.arrays})}

    def _images(self, images: tuple[bytes, ...]) -> dict[str, bytes]:
        return {f"{index:04d}.{self.record.codec}": data for index, data in enumerate(images)}


class ShardWriter:
    """Writes samples to a tar with fixed owner, mode and time: equal samples are equal bytes.

    The bytes are those of `webdataset.TarWriter`, whose package loads torch: 190 MiB and two seconds in every worker.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "ShardWriter":
        self._handle = self._path.open("wb")
        self._tar = tarfile.open(fileobj=self._handle, mode="w|", format=tarfile.USTAR_FORMAT)  # noqa: SIM115  closed on leaving
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._tar.close()
        self._handle.close()

    def add(self, entry: ClipEntry, sample: TarSample) -> ClipEntry:
        """Write one sample; the entry comes back with its record."""
        for suffix, data in sorted(sample.members().items()):
            member = tarfile.TarInfo(f"{entry.key}.{suffix}")
            member.size, member.mode, member.uname, member.gname = len(data), 0o444, "bigdata", "bigdata"
            self._tar.addfile(member, io.BytesIO(data))
        return replace(entry, record=sample.record)

    def located(self, entries: Sequence[ClipEntry]) -> list[ClipEntry]:
        """The entries with the byte ranges of their members, read back from the closed tar."""
        with self._path.open("rb") as handle, tarfile.open(fileobj=handle, mode="r:") as tar:
            members = members_of(tar)
        return [replace(entry, members=tuple(members[entry.key])) if entry.record else entry for entry in entries]


def members_of(tar: Iterable[tarfile.TarInfo]) -> dict[str, list[Member]]:
    """Members of every sample, by `__key__` as webdataset splits it: at the first dot of the file name."""
    found: dict[str, list[Member]] = {}
    for info in tar:
        if not info.isfile():
            continue
        directory, _, name = info.name.rpartition("/")
        stem, _, suffix = name.partition(".")
        key = f"{directory}/{stem}" if directory else stem
        found.setdefault(key, []).append(Member(name=suffix, offset=info.offset_data, length=info.size))
    return found


def arrays_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as npz bytes (no pickle, fixed dates inside)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardOutcome:
    """Outcome of one shard."""

    shard: int
    clips: int  # stored
    failed: int
    num_bytes: int  # of the tar


def commit_shard(root: str, shard: int, results: Iterator[tuple[PlannedClip, TarSample | DataError]]) -> ShardOutcome:
    """Write every planned clip or its error, in order, and commit the shard. `results` are used up before the index is written.

    Raises: StorageError when bytes cannot be read or written just now; on trial, SuspectUnitError. Nothing is committed then.
    """
    layout = Layout(root)
    entries: list[ClipEntry] = []
    planned: list[PlannedClip] = []
    errors: list[ErrorRow] = []
    with storage.publishing(layout.shard_tar(shard)) as path:
        with ShardWriter(path) as writer:
            for clip, result in results:
                planned.append(clip)
                entry = _entry(shard, clip)
                if isinstance(result, TarSample):
                    entries.append(writer.add(entry, result))
                else:
                    entries.append(entry)
                    errors.append(_error_row(clip, result))
        entries = writer.located(entries)
        num_bytes = path.stat().st_size
        hold_back_suspects(errors, len(entries))
    write_errors(root, "shards", shard, errors)
    write_index(root, shard, entries, planned=shard_hash(planned))
    _LOG.info("shard %06d: %d clips, %d failed", shard, len(entries) - len(errors), len(errors))
    return ShardOutcome(shard=shard, clips=len(entries) - len(errors), failed=len(errors), num_bytes=num_bytes)


def _entry(shard: int, clip: PlannedClip) -> ClipEntry:
    return ClipEntry(
        key=clip.key,
        sample_key=clip.key,
        tar=f"{shard:06d}.tar",
        source=clip.source,
        source_id=clip.source_id,
        split=clip.split,
        license=clip.license,
    )


def _error_row(clip: PlannedClip, error: Exception) -> ErrorRow:
    row = ErrorRow.of(error, stage="shards", key=clip.key, source=clip.source)
    return replace(row, message=f"clip {clip.key}: {row.message.removeprefix(f'clip {clip.key}: ')}")
