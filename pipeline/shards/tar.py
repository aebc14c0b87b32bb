"""Writing the tar of a shard, byte for byte as webdataset's writer does, and finding where every member lies in it."""

import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np

from pipeline.records import ClipRecord
from pipeline.shards.index import ARRAYS, ClipEntry, Member
from pipeline.video.reader import VideoData


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
