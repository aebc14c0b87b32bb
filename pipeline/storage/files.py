"""Bytes in and out of local paths and object stores, by the same code (fsspec; `s3://` through s3fs).

Endpoint, region and credentials of an object store come from the usual environment variables (AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION, AWS_MAX_ATTEMPTS), read by s3fs itself.
"""

import errno
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import glob_translate

from pipeline.errors import StorageError
from pipeline.storage.names import escape_name
from pipeline.storage.walking import walk

_LOG = logging.getLogger(__name__)

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
    with explained(uri, "look for"):
        fs, path = file_system(uri)
        return bool(fs.exists(path))


def size(uri: str) -> int:
    """Length of a file in bytes."""
    with explained(uri, "read"):
        fs, path = file_system(uri)
        return int(fs.size(path))


def read_bytes(uri: str) -> bytes:
    """All bytes of a file."""
    with explained(uri, "read"):
        fs, path = file_system(uri)
        return cast(bytes, fs.cat_file(path))


def read_range(uri: str, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`. Raises StorageError if the file ends before."""
    with explained(uri, "read"):
        fs, path = file_system(uri)
        data = cast(bytes, fs.cat_file(path, start=offset, end=offset + length))
    if len(data) != length:
        raise StorageError(f"{uri}: {length} bytes expected from offset {offset}, {len(data)} found; the file was cut short or replaced")
    return data


@contextmanager
def open_input(uri: str) -> Iterator[IO[bytes]]:
    """A seekable file to read from."""
    with explained(uri, "read"):
        fs, path = file_system(uri)
        with fs.open(path, "rb") as handle:
            yield cast(IO[bytes], handle)


def glob(pattern: str) -> list[str]:
    """Sorted files that match a pattern (`*`, `?`, `[...]`, `**`)."""
    with explained(pattern, "list"):
        fs, path = file_system(pattern)
        if isinstance(fs, LocalFileSystem) and "**" in path.split("/"):  # as a folder is listed: through links, and no loop without end
            matches = re.compile(glob_translate(path)).fullmatch
            return [found for found in list_files(fixed_part(path)) if matches(found)]
        return sorted(_uri(fs, found) for found in fs.glob(path) if not fs.isdir(found))


def fixed_part(pattern: str) -> str:
    """The folder above the first part of a glob that varies."""
    parts = pattern.split("/")
    first = next(place for place, part in enumerate(parts) if any(character in part for character in "*?["))
    return "/".join(parts[:first]) or "/"


def list_files(directory: str) -> list[str]:
    """Sorted files at any depth below a directory; empty if there is none."""
    with explained(directory, "list"):
        if is_local(directory):  # unlike fsspec, through linked folders too: people link their data
            found = walk(absolute(directory))
            for problem in found.unreadable:
                _LOG.warning("%s", problem)
            return list(found.files)
        fs, path = file_system(directory)
        return sorted(_uri(fs, found) for found in fs.find(path)) if fs.exists(path) else []


def is_directory(uri: str) -> bool:
    """Whether `uri` names a directory (in an object store: a prefix that holds something)."""
    with explained(uri, "look for"):
        fs, path = file_system(uri)
        return bool(fs.isdir(path))


def remove(uri: str) -> None:
    """Delete a file; no error if it is not there."""
    with explained(uri, "delete"):
        fs, path = file_system(uri)
        if fs.exists(path):
            fs.rm_file(path)


def _uri(fs: fsspec.AbstractFileSystem, path: str) -> str:
    return path if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(path))


def _store_errors() -> tuple[type[BaseException], ...]:
    """Exceptions of the S3 client that are no OSError; nothing to catch while it is not loaded."""
    module = sys.modules.get("botocore.exceptions")
    return (module.BotoCoreError, module.ClientError) if module else ()


@contextmanager
def explained(uri: str, action: str) -> Iterator[None]:
    """Turn errors within into a StorageError that names the operation, the file and the remedy."""
    uri = escape_name(uri)
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
