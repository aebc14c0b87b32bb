"""Folders of this machine, listed to any depth and through links, so that a loop of links ends and a folder is listed once."""

import os
import stat
from dataclasses import dataclass

from pipeline.storage.names import escape_name


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderListing:
    """Files below a folder."""

    files: tuple[str, ...]  # absolute paths, sorted; also links that lead nowhere, and pipes and devices
    unreadable: tuple[str, ...]  # one sentence for each folder that could not be listed


def walk(directory: str) -> FolderListing:
    """All files below a folder, through linked folders too: people link their data.

    A folder that is reached in several ways (a link to its parent, two links to one folder) is listed once, under the first of its
    names in sorted order.
    Args:
        directory: an absolute path; nothing is listed if there is none.
    """
    files: list[str] = []
    unreadable: list[str] = []
    seen: set[str] = set()
    pending = [(directory.rstrip("/") or "/", True)] if os.path.isdir(directory) else []
    while pending:  # the last is next: depth first, so that paths come in sorted order
        path, is_folder = pending.pop()
        if not is_folder:
            files.append(path)
            continue
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(path) as entries:
                found = sorted((f"{entry.path}/" if _is_folder(entry) else entry.path) for entry in entries)
        except OSError as error:
            unreadable.append(f"{escape_name(path)}: cannot be listed ({error.strerror}); check the rights on it")
            continue
        pending += [(name.removesuffix("/"), name.endswith("/")) for name in reversed(found)]
    return FolderListing(files=tuple(files), unreadable=tuple(unreadable))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def fault_of(path: str) -> str | None:
    """Fault of a local path that is no readable file, with the remedy; None if it is one."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return _missing(path)
    except (OSError, ValueError) as error:
        return f"cannot be looked up ({getattr(error, 'strerror', None) or error}); correct the link or the name, or drop it"
    if not stat.S_ISREG(mode):
        return f"is {_kind(mode)}, no file of bytes; drop it, or store what it yields in a file first"
    if not os.access(path, os.R_OK):
        return "may not be read; give yourself the right to (chmod u+r), or drop it"
    return None


def _missing(path: str) -> str:
    if os.path.islink(path):
        return f"is a link to {escape_name(os.readlink(path))}, which is not there; bring that back, or drop the link"
    return "is not there; check the path"


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")


def each_once(paths: list[str]) -> list[str]:
    """Local paths, each real file under the first of its names in sorted order alone: a link to a file beside it adds nothing."""
    real: dict[str, str] = {}
    for path in sorted(paths):
        real.setdefault(os.path.realpath(path), path)
    return sorted(real.values())
