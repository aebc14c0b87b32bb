"""Tars that are compressed: known by their first bytes, and unpacked once below the root where that is asked for.

A clip is read by its byte range, which a compressed tar does not have.
"""

import bz2
import gzip
import hashlib
import lzma
import shutil
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, cast

import pyarrow as pa

from pipeline import storage
from pipeline.errors import DataError

_PIECE = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Compression:
    """One way to compress a file."""

    name: str
    magic: bytes  # the file's first bytes
    command: str  # that unpacks a file, and writes to its output with -c
    suffixes: tuple[str, ...]  # that the command takes off by itself
    readable: bool = True  # by --decompress


COMPRESSIONS = (
    Compression(name="gzip", magic=b"\x1f\x8b", command="gunzip", suffixes=(".gz", ".tgz")),
    Compression(name="bzip2", magic=b"BZh", command="bunzip2", suffixes=(".bz2", ".tbz2", ".tbz")),
    Compression(name="xz", magic=b"\xfd7zXZ\0", command="unxz", suffixes=(".xz", ".txz")),
    Compression(name="zstd", magic=b"\x28\xb5\x2f\xfd", command="unzstd", suffixes=(".zst", ".tzst")),
    Compression(name="lz4", magic=b"\x04\x22\x4d\x18", command="unlz4", suffixes=(".lz4",)),
)
TAR_SUFFIXES = (".tar", *(suffix for each in COMPRESSIONS for suffix in each.suffixes if suffix.startswith(".t")))
TAR_SUFFIXES += tuple(f".tar{suffix}" for each in COMPRESSIONS for suffix in each.suffixes if not suffix.startswith(".t"))


def is_tar_name(uri: str) -> bool:
    """Whether a file is called as tars are, compressed or not."""
    return uri.lower().endswith(TAR_SUFFIXES)


def compression_of(start: bytes) -> Compression | None:
    """Compression of a file that begins with these bytes; None if it has none."""
    return next((each for each in COMPRESSIONS if start.startswith(each.magic)), None)


def refusal(uri: str, compression: Compression) -> DataError:
    """Error of a compressed tar that is not to be unpacked here."""
    name = PurePosixPath(uri).name
    if name.lower().endswith(compression.suffixes):
        by_hand = f"{compression.command} {name}"
    else:
        by_hand = f"{compression.command} -c < {name} > {PurePosixPath(name).stem}-plain.tar"
    return DataError(
        f"{uri}: the tar is compressed ({compression.name}), and clips are read by their byte ranges: `{by_hand}` and give the unpacked"
        " tar instead, or register it into a new --root with --decompress, which unpacks it there once"
    )


def unpacked_name(tar_name: str) -> str:
    """Path below the root of a compressed tar's content: by its name alone, so that a rerun finds it."""
    stem = PurePosixPath(tar_name).name
    suffix = next((each for each in sorted(TAR_SUFFIXES, key=len, reverse=True) if stem.lower().endswith(each)), "")
    digest = hashlib.sha256(tar_name.encode(errors="surrogateescape")).hexdigest()[:8]
    return f"tars/{stem.removesuffix(stem[len(stem) - len(suffix) :] if suffix else '')}-{digest}.tar"


def unpack(uri: str, target: str, compression: Compression) -> None:
    """Unpack a compressed file to `target`, piece by piece; it appears there whole, or not at all. One that is there stays.

    Raises: DataError if the compressed data are damaged; StorageError.
    """
    if storage.exists(target):
        return
    with storage.open_input(uri) as handle, storage.publishing(target) as path:
        try:
            with path.open("wb") as output, closing(_reader(handle, compression)) as reader:
                shutil.copyfileobj(reader, output, _PIECE)
        except (EOFError, zlib.error, lzma.LZMAError, pa.ArrowException, ValueError) as error:
            raise _damaged(uri, compression, error) from error
        except OSError as error:  # of the codecs (gzip, bzip2, Arrow), which have no number; others are the store's
            if error.errno is not None:
                raise
            raise _damaged(uri, compression, error) from error


def _reader(handle: IO[bytes], compression: Compression) -> IO[bytes]:
    readers: dict[str, Any] = {"gzip": gzip.GzipFile, "bzip2": bz2.BZ2File, "xz": lzma.LZMAFile}
    if compression.name == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=handle, mode="rb"))
    if compression.name in readers:
        return cast(IO[bytes], readers[compression.name](handle, "rb"))
    return cast(IO[bytes], pa.CompressedInputStream(pa.PythonFile(handle, "r"), compression.name))


def _damaged(uri: str, compression: Compression, error: Exception) -> DataError:
    reason = " ".join(str(error).split())
    return DataError(f"{uri}: its {compression.name} data are damaged or cut short ({reason}); fetch it again")
