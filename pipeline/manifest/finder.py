"""Finding the files that rows speak of, without asking the store once per row."""

import os
import posixpath
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from pipeline import storage
from pipeline.errors import DataError, StorageError

_CELL_PROTOCOLS = (
    "file",
    "memory",
    "s3",
    "s3a",
    "gs",
    "gcs",
    "az",
    "abfs",
    "abfss",
)  # what a cell may name; others would open whatever they like


class FileFinder:
    """Files below one folder. An object store is listed once; local files are looked up one by one, or by name in one listing."""

    def __init__(self, root: str, suffixes: Sequence[str]) -> None:
        """`root` as `canonical` gives it; `suffixes` in order of preference, lower case."""
        self.root = root
        self._suffixes = {suffix: place for place, suffix in enumerate(suffixes)}
        self._looked_up: dict[str, bool] = {}

    def at(self, path: str) -> str | None:
        """The file (or folder) at a path below the root, at an absolute path, or at a URL, its name escaped; None if there is none.

        A path that is not there and has no suffix of ours is completed by the first suffix that fits.
        Raises: DataError for a URL of a protocol that a table's cell may not name, or that its store refuses.
        """
        uri = self._own_uri(path) if "://" in path or path.startswith("/") else storage.join(self.root, posixpath.normpath(path))
        if self._is_there(uri):
            return storage.escape_name(uri)
        if self._suffix(uri) in self._suffixes:
            return None
        completed = [found for found in self._by_stem.get(posixpath.basename(uri), []) if self._stem(found) == uri]
        return storage.escape_name(completed[0]) if completed else None

    def named(self, name: str) -> str | None:
        """The file of this name, at any depth; a name without a suffix of ours takes any, the preferred one first.

        A name with a slash in it is a path, as in `at`.

        Returns: its escaped name. Raises: DataError if two folders hold a file of this name.
        """
        if "/" in name:
            return self.at(name)
        candidates = self._by_stem.get(self._stem(name), [])
        exact = [uri for uri in candidates if posixpath.basename(uri) == name]
        candidates = exact or [uri for uri in candidates if self._suffix(uri) == self._suffix(candidates[0])]
        if len(candidates) > 1:
            shown = ", ".join(storage.escape_name(below(self.root, uri)) for uri in candidates[:3])
            raise DataError(
                f"{len(candidates)} files below {self.root} are called {name} ({shown});"
                " narrow it (--video-root, --camera-root), or give --path-template"
            )
        return storage.escape_name(candidates[0]) if candidates else None

    @cached_property
    def _listed(self) -> frozenset[str]:
        return frozenset(storage.list_files(self.root))

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(posixpath.dirname(uri) for uri in self._listed)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        """Stem of the name -> files, preferred suffix first, then by path."""
        stems: dict[str, list[str]] = defaultdict(list)
        for uri in self._listed:
            if self._suffix(uri) in self._suffixes and not is_hidden(below(self.root, uri)):
                stems[posixpath.basename(self._stem(uri))].append(uri)
        return {stem: sorted(uris, key=lambda uri: (self._suffixes[self._suffix(uri)], uri)) for stem, uris in stems.items()}

    def is_folder(self, uri: str) -> bool:
        """Whether a uri that `at` or `named` gave is a folder."""
        place = storage.unescape_name(uri)
        if not storage.is_local(place) and place.startswith(self.root + "/"):
            return place in self._folders
        return (storage.is_local(place) or self._suffix(place) not in self._suffixes) and storage.is_directory(place)

    def _own_uri(self, path: str) -> str:
        """The absolute path or URL that a cell names."""
        protocol = path.partition("://")[0].lower() if "://" in path else "file"
        allowed = {*_CELL_PROTOCOLS, self.root.partition("://")[0]}
        if "::" in path.partition("://")[0] or "://" in path.partition("://")[2] or protocol not in allowed:
            raise DataError(
                f"{storage.escape_name(path)}: a row may name a path, or a file in the video root's store or an object store"
                f" ({', '.join(sorted(_CELL_PROTOCOLS))}); fetch it and name the local file"
            )
        try:
            return canonical(path)
        except StorageError as error:  # a package that is not installed is this row's problem alone
            raise DataError(str(error)) from error

    def _is_there(self, uri: str) -> bool:
        if not storage.is_local(uri) and uri.startswith(self.root + "/"):
            return uri in self._listed or uri in self._folders
        if uri not in self._looked_up:  # a video has many rows
            self._looked_up[uri] = _exists(uri)
        return self._looked_up[uri]

    def _suffix(self, name: str) -> str:
        return posixpath.splitext(name)[1].lower()

    def _stem(self, name: str) -> str:
        """`name` without its suffix, if that is one of ours: ids and titles may hold dots."""
        suffix = self._suffix(name)
        return name[: -len(suffix)] if suffix in self._suffixes else name


def _exists(uri: str) -> bool:
    try:
        return storage.exists(uri)
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError | PermissionError | ValueError):  # this bucket or name, not the network
            raise DataError(str(error)) from error
        raise


def canonical(uri: str) -> str:
    """An absolute path, or a URL in the very spelling of storage's listings."""
    if storage.is_local(uri):
        return os.path.normpath(storage.absolute(uri))
    fs, path = storage.file_system(uri)
    return str(fs.unstrip_protocol(path)).rstrip("/")


def below(root: str, uri: str) -> str:
    """`uri` relative to a folder; for a file that lies elsewhere its whole path, without protocol and leading slash."""
    prefix = root.rstrip("/") + "/"
    return uri[len(prefix) :] if uri.startswith(prefix) else uri.partition("://")[2].lstrip("/") or uri.lstrip("/")


def is_hidden(relative_uri: str) -> bool:
    """Whether a part of the path begins with a dot."""
    return any(part.startswith(".") for part in relative_uri.split("/"))
