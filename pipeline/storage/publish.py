"""Publishing files: each appears under its name whole, or not at all.

Locally a file is written beside its target under a temporary name and renamed; in an object store an upload becomes visible only when
it is complete. Files that may be made only once are linked under their name, which fails where the name is taken, or uploaded with
`If-None-Match: *`.
"""

import errno
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import AlreadyThereError
from pipeline.storage.files import absolute, explained, file_system, is_local
from pipeline.storage.owners import Owner, this_process

_TEMPORARY = re.compile(r"\.(?P<target>.+)\.(?P<owner>[^.]+)\.[0-9a-f]{12}\.tmp")
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


def publish_bytes(uri: str, data: bytes, *, once: bool = False) -> None:
    """Write a file whole, or not at all; see `publishing`."""
    with publishing(uri, once=once) as path:
        path.write_bytes(data)


@contextmanager
def publishing(uri: str, *, once: bool = False) -> Iterator[Path]:
    """Give a local path to write to; when the block ends without an error the file appears as `uri`, whole.

    What a process that is provably dead left behind for the same target is removed first.

    Args:
        once: the file may be made only once; an older one of the name is replaced otherwise.
    Raises: AlreadyThereError where it is there already (`once`); StorageError, naming the remedy.
    """
    with explained(uri, "write"):
        if is_local(uri):
            with _beside(Path(absolute(uri)), once) as path:
                yield path
        else:
            with tempfile.TemporaryDirectory(prefix="trackmill-") as directory:
                path = Path(directory) / "upload"
                yield path
                _upload(path, uri, once)


@contextmanager
def _beside(target: Path, once: bool) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    temporary = target.with_name(f".{target.name}.{this_process().text}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        (_link if once else _replace)(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(target: Path) -> None:
    for leftover in target.parent.glob(f".{_literal(target.name)}.*.tmp"):
        named = _TEMPORARY.fullmatch(leftover.name)
        if named and named["target"] == target.name and Owner(named["owner"]).is_dead():
            leftover.unlink(missing_ok=True)


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _replace(temporary: Path, target: Path) -> None:
    temporary.replace(target)


def _link(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError as error:
        raise AlreadyThereError(f"{target} is there already; run the same command again") from error
    except OSError as error:  # a file system without links: the lock of the root is what keeps a second job away
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            raise AlreadyThereError(f"{target} is there already; run the same command again") from error
        _replace(temporary, target)


def _upload(path: Path, uri: str, once: bool) -> None:
    fs, target = file_system(uri)
    if not once:
        fs.put_file(str(path), target)
        return
    if "s3" not in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,)):  # other stores: looked for, then written
        if fs.exists(target):
            raise AlreadyThereError(f"{uri} is there already; run the same command again")
        fs.put_file(str(path), target)
        return
    try:
        fs.put_file(str(path), target, mode="create")
    except FileExistsError as error:
        raise AlreadyThereError(f"{uri} is there already; run the same command again") from error
    except OSError as error:
        if "PreconditionFailed" in str(error) or "ConditionalRequestConflict" in str(error) or "pre-conditions" in str(error):
            raise AlreadyThereError(f"{uri} is there already; run the same command again") from error
        raise
