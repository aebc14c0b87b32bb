"""Bytes in and out of local paths and object stores, by the same code (fsspec; `s3://` through s3fs).

Endpoint, region and credentials of an object store come from the usual environment variables (AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION, AWS_MAX_ATTEMPTS), read by s3fs itself.

Publishing is atomic: a file appears under its name whole, or not at all. Locally it is written beside its target under a
temporary name and renamed; in an object store an upload becomes visible only when it is complete.
"""

import errno
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import StorageError

_RERUN = "run the same command again (what is committed stays, the rest is redone)"


def join(root: str, *parts: str) -> str:
    """Append path parts to a local path or URL."""
    return "/".join([root.rstrip("/") if len(root) > 1 else root, *parts])


def is_local(uri: str) -> bool:
    """Whether `uri` names a file of this machine."""
    return "://" not in uri or uri.startswith("file://")


def absolute(uri: str) -> str:
    """A local path made absolute (and free of `file://`); a URL as it is."""
    return str(Path(uri.removeprefix("file://")).expanduser().absolute()) if is_local(uri) else uri


def file_system(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system that serves `uri`, and the path within it. Raises StorageError for an unknown or unusable protocol."""
    try:
        fs, path = url_to_fs(uri, **({} if is_local(uri) else {"use_listings_cache": False}))
    except (ImportError, ValueError) as error:
        raise StorageError(f"{uri}: {error}; use a local path, s3://, or install the fsspec package for this protocol") from error
    return fs, path


def exists(uri: str) -> bool:
    """Whether a file or directory of this name is there."""
    with _explained(uri, "look for"):
        fs, path = file_system(uri)
        return bool(fs.exists(path))


def size(uri: str) -> int:
    """Length of a file in bytes."""
    with _explained(uri, "read"):
        fs, path = file_system(uri)
        return int(fs.size(path))


def read_bytes(uri: str) -> bytes:
    """All bytes of a file."""
    with _explained(uri, "read"):
        fs, path = file_system(uri)
        return cast(bytes, fs.cat_file(path))


def read_range(uri: str, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`. Raises StorageError if the file ends before."""
    with _explained(uri, "read"):
        fs, path = file_system(uri)
        data = cast(bytes, fs.cat_file(path, start=offset, end=offset + length))
    if len(data) != length:
        raise StorageError(f"{uri}: {length} bytes expected from offset {offset}, {len(data)} found; the file was cut short or replaced")
    return data


@contextmanager
def open_input(uri: str) -> Iterator[IO[bytes]]:
    """A seekable file to read from."""
    with _explained(uri, "read"):
        fs, path = file_system(uri)
        with fs.open(path, "rb") as handle:
            yield cast(IO[bytes], handle)


def glob(pattern: str) -> list[str]:
    """Sorted files that match a pattern (`*`, `?`, `[...]`, `**`)."""
    with _explained(pattern, "list"):
        fs, path = file_system(pattern)
        return sorted(_uri(fs, found) for found in fs.glob(path) if not fs.isdir(found))


def list_files(directory: str) -> list[str]:
    """Sorted files at any depth below a directory; empty if there is none."""
    with _explained(directory, "list"):
        if is_local(directory):  # unlike fsspec, through linked folders too: people link their data
            return sorted(f"{folder}/{name}" for folder, _, names in os.walk(absolute(directory), followlinks=True) for name in names)
        fs, path = file_system(directory)
        return sorted(_uri(fs, found) for found in fs.find(path)) if fs.exists(path) else []


def is_directory(uri: str) -> bool:
    """Whether `uri` names a directory (in an object store: a prefix that holds something)."""
    with _explained(uri, "look for"):
        fs, path = file_system(uri)
        return bool(fs.isdir(path))


def publish_bytes(uri: str, data: bytes) -> None:
    """Write a file whole, or not at all; an older one of the same name is replaced."""
    with publishing(uri) as path:
        path.write_bytes(data)


def remove(uri: str) -> None:
    """Delete a file; no error if it is not there."""
    with _explained(uri, "delete"):
        fs, path = file_system(uri)
        if fs.exists(path):
            fs.rm_file(path)


@contextmanager
def publishing(uri: str) -> Iterator[Path]:
    """Give a local path to write to; when the block ends without an error the file appears as `uri`, whole.

    What a killed run left behind for the same target is removed first. Raises StorageError, naming the remedy.
    """
    with _explained(uri, "write"):
        if is_local(uri):
            with _beside(Path(absolute(uri))) as path:
                yield path
        else:
            with tempfile.TemporaryDirectory(prefix="trackmill-") as directory:
                path = Path(directory) / "upload"
                yield path
                fs, target = file_system(uri)
                fs.put_file(str(path), target)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):
        leftover.unlink(missing_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        yield temporary
        _replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _replace(temporary: Path, target: Path) -> None:
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    temporary.replace(target)


def _uri(fs: fsspec.AbstractFileSystem, path: str) -> str:
    return path if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(path))


def _store_errors() -> tuple[type[BaseException], ...]:
    """Exceptions of the S3 client that are no OSError; nothing to catch while it is not loaded."""
    module = sys.modules.get("botocore.exceptions")
    return (module.BotoCoreError, module.ClientError) if module else ()


@contextmanager
def _explained(uri: str, action: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(f"cannot {action} {uri}: there is no such file; check the path") from error
    except PermissionError as error:
        raise StorageError(f"cannot {action} {uri}: {error}; check the credentials and the rights on it") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(f"cannot {action} {uri}: no space left; free some, then {_RERUN}") from error
        raise StorageError(f"cannot {action} {uri}: {error}; {_RERUN}") from error
    except _store_errors() as error:
        raise StorageError(f"cannot {action} {uri}: {error}; check endpoint and credentials, then {_RERUN}") from error
