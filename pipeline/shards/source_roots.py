"""Addresses of sources: tables hold (root id, path below it), one small file holds the present address of each root.

`root://0/walks/a.mp4` is `walks/a.mp4` below the folder that `source_roots.json` gives for 0. A moved folder is one changed line there
(`jobs/shard.py --source-root 0=/new/place`), and no table is written anew. Absolute paths, as older roots hold, are read as they are.
"""

import os
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline import storage
from pipeline.errors import ConfigError, DataError
from pipeline.layout import Layout
from pipeline.tables import read_document, write_document

BRING_BACK = "mount or bring it back and run the same command again, or say where it is now with --source-root"
_SCHEME = "root://"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRoots:
    """Folders by id, as absolute paths or URLs without a slash at the end."""

    roots: Mapping[str, str] = field(default_factory=dict)

    def reference(self, uri: str) -> str | None:
        """Reference to a file in tables: below the deepest root that holds it; None if none does."""
        holding = [(len(folder), name) for name, folder in self.roots.items() if uri.startswith(_slashed(folder))]
        if not holding:
            return None
        _, name = max(holding)
        return f"{_SCHEME}{name}/{uri[len(_slashed(self.roots[name])) :]}"

    def resolve(self, reference: str) -> str:
        """The absolute path or URL of a table's reference. Raises DataError for a root that is not known."""
        if not reference.startswith(_SCHEME):
            return reference
        name, _, path = reference.removeprefix(_SCHEME).partition("/")
        if name not in self.roots:
            raise DataError(f"{reference}: source_roots.json knows no root {name}; give it with jobs/shard.py --source-root {name}=FOLDER")
        return _slashed(self.roots[name]) + path

    def root_of(self, reference: str) -> str | None:
        """The folder of the root that a reference counts from; None for an absolute path."""
        return self.roots.get(reference.removeprefix(_SCHEME).partition("/")[0]) if reference.startswith(_SCHEME) else None

    def with_room_for(self, uris: Iterable[str]) -> "SourceRoots":
        """With roots for files that none holds: the deepest folder that all of them share, for each store and first folder."""
        together: dict[str, list[str]] = {}
        for uri in uris:
            if self.reference(uri) is None:
                together.setdefault(_start(uri), []).append(posixpath.dirname(uri))
        roots = dict(self.roots)
        for _, folders in sorted(together.items()):
            roots[str(len(roots))] = posixpath.commonpath(folders) if "://" not in folders[0] else _common(folders)
        return SourceRoots(roots=roots)

    def moved(self, places: Mapping[str, str]) -> "SourceRoots":
        """With new places of known roots. Raises ConfigError for an id that is not known."""
        unknown = sorted(set(places) - set(self.roots))
        if unknown:
            known = ", ".join(f"{name}={folder}" for name, folder in self.roots.items()) or "none"
            raise ConfigError(f"--source-root {unknown[0]}=...: there is no such root; known are {known}")
        return SourceRoots(
            roots={
                **self.roots,
                **{name: storage.escape_name(storage.absolute(place)).rstrip("/") or "/" for name, place in places.items()},
            }
        )


def read_source_roots(root: str) -> SourceRoots:
    """The source roots of a dataset; none for one without such a file."""
    uri = Layout(root).source_roots
    if not storage.exists(uri):
        return SourceRoots()
    roots = read_document(uri, "source_roots").get("roots")
    if not isinstance(roots, dict) or not all(isinstance(folder, str) for folder in roots.values()):
        raise DataError(f"{uri}: its roots are no folders by id; give each with jobs/shard.py --source-root ID=FOLDER")
    return SourceRoots(roots=roots)


def write_source_roots(root: str, roots: SourceRoots) -> None:
    """Publish the source roots of a dataset, unless the same are there."""
    if roots != read_source_roots(root):
        write_document(Layout(root).source_roots, {"roots": dict(roots.roots)}, "source_roots")


def is_gone(folder: str) -> bool:
    """Whether a source root is not there, or holds nothing: what an unmounted disk leaves behind."""
    place = storage.unescape_name(folder)
    return not storage.exists(place) or (storage.is_local(place) and not any(True for _ in os.scandir(storage.absolute(place))))


def _slashed(folder: str) -> str:
    return folder.rstrip("/") + "/"


def _start(uri: str) -> str:
    """The store and bucket of a URL, or the first folder of a path."""
    if "://" in uri:
        scheme, _, path = uri.partition("://")
        return f"{scheme}://{path.partition('/')[0]}"
    return "/" + uri.lstrip("/").partition("/")[0]


def _common(folders: list[str]) -> str:
    parts = [folder.split("/") for folder in folders]
    shared = next((depth for depth, column in enumerate(zip(*parts, strict=False)) if len(set(column)) > 1), min(map(len, parts)))
    return "/".join(parts[0][:shared])
