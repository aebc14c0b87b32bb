"""Inputs as a user gives them: their kinds, the videos behind folders and globs, and names that tell sources apart."""

import logging
import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.manifest.finder import below, canonical, is_hidden
from pipeline.manifest.inputs import ManifestOptions, ProblemKind, RowProblem
from pipeline.manifest.tables import table_suffix
from pipeline.video.picture_folder import is_picture

_LOG = logging.getLogger(__name__)
_MAGIC = "*?["
_OTHER_TABLES = {
    ".json": "write one object per line, as .jsonl",
    ".xlsx": "save the sheet as CSV in UTF-8",
    ".xls": "save the sheet as CSV in UTF-8",
    ".ods": "save the sheet as CSV in UTF-8",
    ".feather": "write it as Parquet",
    ".arrow": "write it as Parquet",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedFile:
    """A video (or a folder of numbered pictures), and the folder that its name is relative to; both escaped."""

    uri: str
    root: str
    fps: float | None = None  # of a folder of pictures

    @property
    def relative_uri(self) -> str:
        """The name below the folder."""
        return below(self.root, self.uri)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpandedInput:
    """Files and tables behind one input."""

    videos: tuple[NamedFile, ...] = ()
    tables: tuple[str, ...] = ()  # as to be opened
    problems: tuple[RowProblem, ...] = ()  # files and folders that cannot be read


def kind_of(uri: str) -> str:
    """Kind of an input: folder, glob, table or video. A file whose name holds `*`, `?` or `[` is that file.

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


def expand(given: str, options: ManifestOptions) -> ExpandedInput:
    """The videos or tables behind one input, in the order of their names. Hidden files are left out.

    Raises: ConfigError if there are none, or if it is a tar.
    """
    kind, uri = kind_of(given), canonical(given)
    if kind == "table":
        return ExpandedInput(tables=(uri,))
    if kind == "video":
        _refuse(given, uri)
        return ExpandedInput(videos=(_named(uri, posixpath.dirname(uri)),))
    listed = _listed(uri, kind)
    visible = [file for file in listed.files if not is_hidden(below(listed.root, file))]
    taken = [file for file in visible if PurePosixPath(file).suffix.lower() in options.extensions]
    tables = []
    if kind == "glob":
        tables = [file for file in visible if table_suffix(file) not in ("", ".txt")]  # a text is a table only where it is named itself
        if _names_a_suffix(uri):
            taken = [file for file in visible if file not in tables]
            for file in taken:
                _refuse_tar(file)
    folders = _picture_folders(given, visible, taken, options) if kind == "folder" else ()
    if not taken and not tables and not folders:
        raise ConfigError(_nothing(given, visible, options))
    if left := len(visible) - len(taken) - len(tables):
        _LOG.info("%s: %d videos, %d other files left out", given, len(taken), left)
    pictures = [_pictures(folder, listed.root, options.picture_fps) for folder in folders]
    return _sorted_out(uri, listed, taken, pictures=pictures, tables=tables)


@dataclass(frozen=True, slots=True)
class _Listed:
    """Files behind a folder or glob."""

    root: str
    files: tuple[str, ...]
    unreadable: tuple[str, ...] = ()


def _listed(uri: str, kind: str) -> _Listed:
    if kind == "glob":
        return _Listed(storage.fixed_part(uri), tuple(storage.glob(uri)))
    if storage.is_local(uri):
        found = storage.walk(uri)
        return _Listed(uri, found.files, found.unreadable)
    return _Listed(uri, tuple(storage.list_files(uri)))


def _sorted_out(uri: str, listed: _Listed, taken: list[str], *, pictures: Sequence[NamedFile], tables: Sequence[str]) -> ExpandedInput:
    """Each real file once, and those that cannot be read as problems."""
    problems = [RowProblem(manifest=storage.escape_name(uri), row=None, kind="broken", message=text) for text in listed.unreadable]
    if storage.is_local(uri):
        faults = {file: fault for file in taken if (fault := storage.fault_of(file)) is not None}
        for file, fault in faults.items():
            kind: ProblemKind = "broken" if os.path.exists(file) else "missing"
            problems.append(RowProblem(manifest=storage.escape_name(file), row=None, kind=kind, message=fault))
        taken = storage.each_once([file for file in taken if file not in faults])
    videos = [*(_named(file, listed.root) for file in taken), *pictures]
    return ExpandedInput(videos=tuple(sorted(videos, key=lambda file: file.uri)), tables=tuple(tables), problems=tuple(problems))


def _named(uri: str, root: str) -> NamedFile:
    return NamedFile(uri=storage.escape_name(uri), root=storage.escape_name(root))


def _pictures(folder: str, root: str, fps: float | None) -> NamedFile:
    """A folder of pictures, named by its place below the input; the input itself by its own name."""
    root = posixpath.dirname(folder) if folder == root else root
    return NamedFile(uri=storage.escape_name(folder), root=storage.escape_name(root), fps=fps)


def _picture_folders(given: str, visible: Sequence[str], taken: Sequence[str], options: ManifestOptions) -> tuple[str, ...]:
    """Folders that hold pictures and no video. They are sources if --fps says how fast; else they are left out beside videos.

    Raises: ConfigError if there is nothing but pictures, and no --fps.
    """
    with_videos = {posixpath.dirname(file) for file in taken}
    folders = sorted({posixpath.dirname(file) for file in visible if is_picture(file)} - with_videos)
    if not folders or options.picture_fps is not None:
        return tuple(folders)
    if not taken:
        raise ConfigError(
            f"{given}: {len(folders)} folders of pictures and no video; say how many pictures make a second, such as --fps 30"
        )
    _LOG.warning("%s: %d folders of pictures are left out; to cut them too, give --fps", given, len(folders))
    return ()


def _refuse(given: str, uri: str) -> None:
    """Raise ConfigError for a file that is no video for certain."""
    _refuse_tar(given)
    if storage.is_local(uri) and (fault := storage.fault_of(uri)) is not None:
        raise ConfigError(f"{storage.escape_name(given)} {fault}")
    if (suffix := PurePosixPath(given).suffix.lower()) in _OTHER_TABLES:
        raise ConfigError(f"{given}: {suffix} is no table that is read; {_OTHER_TABLES[suffix]}")
    if is_picture(given):
        raise ConfigError(f"{given}: a single picture is no video; name the folder of numbered pictures, and --fps")


def _refuse_tar(uri: str) -> None:
    if PurePosixPath(uri).suffix.lower() == ".tar":
        raise ConfigError(f"{uri}: a tar is no video; to register WebDataset tars, give --preset webdataset")


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


def distinct_names(files: Iterable[NamedFile], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Uri -> relative uri. Files whose names clash get the names of as many folders above their roots as it takes.

    The order of `files` does not matter.
    Args:
        known: names that were given before, by uri: they stay, and no other file gets one of them.
    Raises: ConfigError if even the whole paths are the same (in two stores).
    """
    before = known or {}
    taken = frozenset(before.values())
    named = {file.uri: file for file in files}
    kept = {uri: before[uri] for uri in named if uri in before}
    depth = {uri: 0 for uri in named if uri not in kept}
    while True:
        names = {uri: _prefixed(named[uri], depth[uri]) for uri in depth}
        counts = Counter(names.values())
        clashing = [uri for uri, name in names.items() if counts[name] > 1 or name in taken]
        if not clashing:
            return {**names, **kept}
        longer = [uri for uri in clashing if _prefixed(named[uri], depth[uri] + 1) != names[uri]]
        if not longer:
            raise ConfigError(f"{' and '.join(sorted(clashing)[:2])} have a path that another source has; shard them into another root")
        for uri in longer:
            depth[uri] += 1


def _prefixed(file: NamedFile, depth: int) -> str:
    parts = [part for part in file.root.partition("://")[2].split("/") if part] if "://" in file.root else file.root.strip("/").split("/")
    return posixpath.join(*(parts[-depth:] if depth else []), file.relative_uri)
