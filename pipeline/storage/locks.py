"""Locks for one job at a time on one piece of work; the later job waits and logs it.

A lock keeps two jobs from doing the same work twice; what they publish would be right without it (files that may be made only once are
created exclusively, others are the same bytes from both). Locally it is the system's lock on a file, which ends with its process. In an
object store it is an object that its owner renews; one that nobody renews for a while is taken over.
"""

import errno
import fcntl
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import AlreadyThereError, StorageError
from pipeline.storage.files import absolute, exists, explained, is_local, read_bytes, remove
from pipeline.storage.publish import publish_bytes

_LOG = logging.getLogger(__name__)
_POLL_S = 0.5
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)  # some network file systems have none
_RENEW_S, _STALE_S = 20.0, 120.0


@contextmanager
def only_one(uri: str | None, what: str) -> Iterator[None]:
    """Hold the lock `uri` while the block runs; wait, with a warning in the log, while another process holds it.

    Args:
        uri: None: nothing is held, and nothing waited for.
        what: the work that the lock is for, for the warning.
    Raises: StorageError if the lock cannot be made.
    """
    if uri is None:
        yield
        return
    holding = _local(Path(absolute(uri)), what) if is_local(uri) else _stored(uri, what)
    with holding:
        yield


@contextmanager
def _local(path: Path, what: str) -> Iterator[None]:
    handle = _locked(path, what)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{_who()}\n".encode())
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: who waits sees that the name is another file's now
        os.close(handle)


def _locked(path: Path, what: str) -> int:
    """An open handle of the file of this name, locked."""
    told = False
    with explained(str(path), "lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
                    return handle
            except BlockingIOError:
                told = told or _tell(what, path.read_text(errors="replace").strip() if path.exists() else "")
                time.sleep(_POLL_S)
            except OSError as error:
                if error.errno in _NO_LOCKS:
                    _LOG.warning("%s cannot be locked here (%s): see that no second job works on %s", path, error.strerror, what)
                    return handle
                os.close(handle)
                raise
            os.close(handle)


@contextmanager
def _stored(uri: str, what: str) -> Iterator[None]:
    mine = uuid.uuid4().hex
    _claim(uri, mine, what)
    stop = threading.Event()
    renewing = threading.Thread(target=_renew, args=(uri, mine, stop), name="lock", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        stop.set()
        renewing.join()
        remove(uri)


def _claim(uri: str, mine: str, what: str) -> None:
    seen, since, told = b"", time.monotonic(), False
    while True:
        try:
            publish_bytes(uri, _beat(mine, 0), once=True)
            return
        except AlreadyThereError:
            found = read_bytes(uri) if exists(uri) else b""
        if found != seen:
            seen, since = found, time.monotonic()
        elif found and time.monotonic() - since > _STALE_S:
            _LOG.warning("%s: nobody renewed this lock for %g s; its job is taken to be dead", uri, _STALE_S)
            remove(uri)
            continue
        told = told or _tell(what, json.loads(found or b"{}").get("who", ""))
        time.sleep(_POLL_S)


def _renew(uri: str, mine: str, stop: threading.Event) -> None:
    beat = 0
    while not stop.wait(_RENEW_S):
        beat += 1
        try:
            publish_bytes(uri, _beat(mine, beat))
        except StorageError as error:
            _LOG.warning("the lock could not be renewed: %s", error)


def _beat(mine: str, beat: int) -> bytes:
    return json.dumps({"id": mine, "beat": beat, "who": _who()}).encode()


def _who() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _tell(what: str, who: str) -> bool:
    _LOG.warning("waiting: another job (%s) is at work on %s; this one goes on when that one is done", who or "unknown", what)
    return True
