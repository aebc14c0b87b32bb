"""Reading all inputs into one list of clips."""

import logging
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.manifest.columns import known_columns, map_columns
from pipeline.manifest.finder import FileFinder, canonical
from pipeline.manifest.inputs import Manifest, ManifestOptions, RowProblem, flag_of
from pipeline.manifest.listing import ExpandedInput, NamedFile, distinct_names, expand
from pipeline.manifest.presets import PRESETS
from pipeline.manifest.rows import FoundClip, RowReader
from pipeline.manifest.tables import open_rows
from pipeline.manifest.timestamps import Bounds
from pipeline.records import ClipSpec

_LOG = logging.getLogger(__name__)


def read_manifest(inputs: Sequence[str], options: ManifestOptions, names: Mapping[str, str] | None = None) -> Manifest:
    """Read folders, globs, video files and tables (local or any fsspec URL) into the clips they ask for.

    A broken row, a row whose video is not there, and the second of two equal rows are problems of the result; the others go
    on. A source's relative uri is its path below its folder, below the fixed part of its glob, or below the video root; for a
    single file, its name. (A table's absolute path outside the video root keeps its whole path: give --video-root to be
    independent of the machine.) Files whose names clash get names of folders above in front.

    Args:
        names: relative uris that files were given by earlier runs, by uri: they keep them.
    Raises: ConfigError for inputs or options that cannot be right, DataError for a table that cannot be read at all, StorageError.
    """
    expanded = [expand(given, options) for given in inputs]
    _check_inputs(expanded, options)
    reading = _Reading(options, names or {})
    for part in expanded:
        reading.problems += part.problems
        for video in part.videos:
            reading.add_file(video)
        for table in part.tables:
            reading.add_table(table)
    return reading.manifest()


def _check_inputs(expanded: Sequence[ExpandedInput], options: ManifestOptions) -> None:
    if not expanded:
        raise ConfigError("no input; give videos, folders, globs or tables")
    tables = [table for part in expanded for table in part.tables]
    if tables and options.preset == "folder":
        raise ConfigError(f"{tables[0]} is a table, --preset folder reads none; leave it out, or choose one of {', '.join(PRESETS)}")
    if not tables and options.columns:
        flags = ", ".join(flag_of(role) for role in options.columns)
        raise ConfigError(
            f"{flags}: no input is a table; name the table itself (.csv, .tsv, .txt, .jsonl, .parquet), and its videos by --video-root"
        )
    preset = PRESETS.get(options.preset or "")
    if not tables and preset is not None and preset.video_of_file is None:
        raise ConfigError(
            f"--preset {options.preset} reads a table; name it (.csv, .tsv, .txt, .jsonl, .parquet), and its videos by --video-root"
        )


@dataclass(slots=True)
class _Reading:
    """Clips and problems read so far."""

    options: ManifestOptions
    names: Mapping[str, str]
    clips: list[FoundClip] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    files: dict[str, NamedFile] = field(default_factory=dict)  # uri -> as it was first met
    seen: set[tuple[str, Bounds]] = field(default_factory=set)
    finders: dict[tuple[str, Sequence[str]], FileFinder] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self.options.limit is not None and len(self.clips) >= self.options.limit

    def add_file(self, file: NamedFile) -> None:
        """Take a whole file."""
        preset = PRESETS.get(self.options.preset or "")
        stem = PurePosixPath(file.uri).stem
        video_id = preset.video_of_file(stem) if preset is not None and preset.video_of_file is not None else None
        self._add(FoundClip(uri=file.uri, video_id=video_id, license=self.options.license, fps=file.fps), file.uri, file.root)

    def add_table(self, uri: str) -> None:
        """Take the rows of a table."""
        options = self.options
        root = posixpath.dirname(uri) if options.video_root is None else _folder("--video-root", options.video_root)
        camera_root = root if options.camera_root is None else _folder("--camera-root", options.camera_root)
        name = storage.escape_name(uri)
        with open_rows(uri, known_columns(options)) as table:
            reader = RowReader(
                manifest=name,
                columns=map_columns(name, table.columns, options=options, repeated=table.repeated),
                preset=PRESETS[options.preset or "generic"],
                options=options,
                videos=self._finder(root, options.extensions),
                cameras=self._finder(camera_root, (".npz",)),
            )
            for row in table.rows:
                for item in reader.read(row):
                    if self.full:
                        return
                    if isinstance(item, RowProblem):
                        self.problems.append(item)
                    else:
                        self._add(item, name, storage.escape_name(root))

    def manifest(self) -> Manifest:
        """The manifest of all inputs, with names that tell the sources apart."""
        names = distinct_names(self.files.values(), self.names)
        ids: dict[str, str] = {}  # clips of one file share the id of its first, so that they share a split
        specs = []
        for clip in self.clips:
            name = names[clip.uri]
            specs.append(_spec(clip, name, ids.setdefault(clip.uri, clip.video_id or name)))
        missing = sum(clip.camera is not None and clip.camera_uri is None for clip in self.clips)
        if missing:
            _LOG.warning("%d of %d clips name a camera file that is not there; they go on without cameras", missing, len(specs))
        _LOG.info("%d clips of %d sources, %d problems", len(specs), len(names), len(self.problems))
        return Manifest(specs=tuple(specs), problems=tuple(self.problems), missing_cameras=missing)

    def _add(self, clip: FoundClip, manifest: str, root: str) -> None:
        if self.full:
            return
        self.files.setdefault(clip.uri, NamedFile(uri=clip.uri, root=root))
        identity = (clip.uri, clip.bounds)
        if identity in self.seen:
            message = f"the same clip of {clip.uri} was asked for before; the first is kept"
            self.problems.append(RowProblem(manifest=manifest, row=clip.row, kind="duplicate", message=message))
            return
        self.seen.add(identity)
        self.clips.append(clip)

    def _finder(self, root: str, suffixes: Sequence[str]) -> FileFinder:
        return self.finders.setdefault((root, suffixes), FileFinder(root, suffixes))


def _folder(flag: str, uri: str) -> str:
    if not storage.is_directory(uri):
        raise ConfigError(f"{flag} {uri}: there is no such folder; check the path")
    return canonical(uri)


def _spec(clip: FoundClip, relative_uri: str, source_id: str) -> ClipSpec:
    return ClipSpec(
        source_uri=clip.uri,
        relative_uri=relative_uri,
        source_id=source_id,
        start_s=clip.bounds.start_s,
        end_s=clip.bounds.end_s,
        start_frame=clip.bounds.start_frame,
        end_frame=clip.bounds.end_frame,
        camera_uri=clip.camera_uri,
        license=clip.license,
        extra=clip.extra,
        row=clip.row,
        fps=clip.fps,
    )
