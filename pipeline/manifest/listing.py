"""Inputs as a user gives them: what they are, and which videos lie behind folders and globs."""

import logging
import posixpath
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.manifest.finder import below, canonical, is_hidden
from pipeline.manifest.options import ManifestOptions
from pipeline.manifest.tables import table_suffix

_LOG = logging.getLogger(__name__)
_MAGIC = "*?["


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedFile:
    """A video, and the folder that its name is relative to."""

    uri: str
    root: str

    @property
    def relative_uri(self) -> str:
        """The name below the folder."""
        return below(self.root, self.uri)


@dataclass(frozen=True, kw_only=True, slots=True)
class Expanded:
    """What one input stands for."""

    videos: tuple[NamedFile, ...] = ()
    tables: tuple[str, ...] = ()


def kind_of(uri: str) -> str:
    """What an input is: folder, glob, table or video. A file whose name holds `*`, `?` or `[` is that file.

    Raises: ConfigError if there is no such file or folder.
    """
    place = canonical(uri)
    if storage.is_directory(place):
        return "folder"
    if storage.exists(place):
        return "table" if table_suffix(uri) else "video"
    if any(character in uri for character in _MAGIC):
        return "glob"
    raise ConfigError(f"{uri}: there is no such file or folder; check the path")


def expand(given: str, options: ManifestOptions) -> Expanded:
    """The videos or tables behind one input, in the order of their names. Hidden files are left out.

    Raises: ConfigError if there are none, or if it is a tar.
    """
    kind, uri = kind_of(given), canonical(given)
    if kind == "table":
        return Expanded(tables=(uri,))
    if kind == "video":
        _refuse_tar(given)
        return Expanded(videos=(NamedFile(uri=uri, root=posixpath.dirname(uri)),))
    root = uri if kind == "folder" else _fixed_part(uri)
    files = storage.list_files(uri) if kind == "folder" else storage.glob(uri)
    visible = [file for file in files if not is_hidden(below(root, file))]
    taken = [file for file in visible if PurePosixPath(file).suffix.lower() in options.extensions]
    tables = []
    if kind == "glob":
        tables = [file for file in visible if table_suffix(file)]
        if _names_a_suffix(uri):
            taken = [file for file in visible if not table_suffix(file)]
            for file in taken:
                _refuse_tar(file)
    if not taken and not tables:
        raise ConfigError(_nothing(given, visible, options))
    if left := len(visible) - len(taken) - len(tables):
        _LOG.info("%s: %d videos, %d other files left out", given, len(taken), left)
    return Expanded(videos=tuple(NamedFile(uri=file, root=root) for file in taken), tables=tuple(tables))


def _refuse_tar(uri: str) -> None:
    if PurePosixPath(uri).suffix.lower() == ".tar":
        raise ConfigError(f"{uri}: a tar is no video; to register WebDataset tars, give --preset webdataset")


def _fixed_part(pattern: str) -> str:
    """The folder above the first part of a glob that varies."""
    parts = pattern.split("/")
    first = next(place for place, part in enumerate(parts) if any(character in part for character in _MAGIC))
    return "/".join(parts[:first]) or "/"


def _names_a_suffix(pattern: str) -> bool:
    """Whether a glob spells out the suffix, so that its files are meant whatever it is."""
    suffix = PurePosixPath(pattern).suffix
    return bool(suffix) and not any(character in suffix for character in _MAGIC)


def _nothing(given: str, visible: Iterable[str], options: ManifestOptions) -> str:
    others = Counter(PurePosixPath(file).suffix.lower() or "no suffix" for file in visible)
    found = ", ".join(f"{count} with {suffix}" for suffix, count in others.most_common(5)) or "nothing"
    return (
        f"{given}: no video there (found {found}; looked for {' '.join(options.extensions)}); check the path, or name the files themselves"
    )
