"""Records of reading inputs: the flags of the command line, the clips asked for, and the rows that could not be used."""

import math
from dataclasses import dataclass
from string import Formatter
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.manifest.presets import PRESETS
from pipeline.records import ClipSpec

# In order of preference where one name exists with several suffixes: finished files before raw streams.
VIDEO_SUFFIXES = (
    *(".mp4", ".mkv", ".webm", ".mov", ".m4v", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".flv", ".wmv", ".ogv", ".3gp"),
    *(".hevc", ".h265", ".265", ".h264", ".264", ".ivf", ".y4m"),
)
ProblemKind = Literal["broken", "missing", "duplicate"]  # missing: the video is not there; duplicate: the first one is kept
_FASTEST = 100_000  # frames per second of the fastest cameras
ROLES = ("path", "id", "url", "start", "end", "clips", "start_frame", "end_frame", "base_fps", "license", "camera")


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestOptions:
    """Options of reading folders, globs and tables. A `col_*` names a table's column and wins over the preset's own name for it."""

    preset: str | None = None  # folder, or one of pipeline.manifest.presets.PRESETS; None: tables by column flags, the rest as folders
    video_root: str | None = None  # folder that paths in tables are relative to, and are looked for in; None: the table's own
    camera_root: str | None = None  # folder of camera files; None: the video root
    path_template: str | None = None  # file of a row below the video root, such as "{page_dir}/{videoid}.mp4"
    license: str | None = None  # of every row (and file) that names none
    limit: int | None = None  # at most this many clips of the manifest; what comes after is not read
    extensions: tuple[str, ...] = VIDEO_SUFFIXES  # what a video is in a folder
    picture_fps: float | None = None  # of folders of numbered pictures, which are sources where it is given
    frame_base_fps: float | None = None  # rate at which col_start_frame and col_end_frame count; None: frames of the video itself
    col_path: str | None = None
    col_id: str | None = None  # of the source video: its clips share a split
    col_url: str | None = None  # YouTube address of the source video
    col_start: str | None = None  # seconds, or [H:]MM:SS.fff
    col_end: str | None = None
    col_clips: str | None = None  # list of [start, end] pairs
    col_start_frame: str | None = None
    col_end_frame: str | None = None  # one past the last frame
    col_base_fps: str | None = None
    col_license: str | None = None
    col_camera: str | None = None

    def __post_init__(self) -> None:
        if self.preset is not None and self.preset != "folder" and self.preset not in PRESETS:
            raise ConfigError(f"--preset {self.preset!r} is not known here; choose one of folder, {', '.join(PRESETS)}")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"--limit is {self.limit}, expected at least 1")
        for flag, rate in (("--frame-base-fps", self.frame_base_fps), ("--fps", self.picture_fps)):
            if rate is not None and not (math.isfinite(rate) and 0 < rate <= _FASTEST):
                raise ConfigError(f"{flag} is {rate}, expected a positive number of frames per second")
        self._check_extensions()
        self._check_columns()
        self._check_template()

    @property
    def columns(self) -> dict[str, str]:
        """Role -> column, for the roles that a flag maps."""
        return {role: name for role in ROLES if (name := getattr(self, f"col_{role}")) is not None}

    def _check_extensions(self) -> None:
        wrong = [suffix for suffix in self.extensions if not suffix.startswith(".") or suffix != suffix.lower()]
        if wrong or not self.extensions:
            raise ConfigError(f"extensions {', '.join(wrong) or '(none)'} must begin with a dot and be lower case, such as .mp4")

    def _check_columns(self) -> None:
        columns = self.columns
        if columns and self.preset == "folder":
            flags = ", ".join(flag_of(role) for role in columns)
            raise ConfigError(f"{flags}: --preset folder reads no table; leave the preset out, or choose one of {', '.join(PRESETS)}")
        if "clips" in columns and {"start", "end", "start_frame", "end_frame"} & columns.keys():
            raise ConfigError("--col-clips holds both bounds of every clip; leave out --col-start, --col-end and the like")
        for start, end in (("start", "end"), ("start_frame", "end_frame")):
            if end in columns and start not in columns and self.preset is None:
                raise ConfigError(f"{flag_of(end)} needs {flag_of(start)} too")

    def _check_template(self) -> None:
        if self.path_template is None:
            return
        try:
            parts = [part for part in Formatter().parse(self.path_template) if part[1] is not None]
        except ValueError as error:
            raise ConfigError(f"--path-template {self.path_template!r} cannot be read ({error}); write {{column}} for a column") from error
        plain = all(name and not spec and not conversion and not set(name) & set(".[") for _, name, spec, conversion in parts)
        if not parts or not plain:
            raise ConfigError(f"--path-template {self.path_template!r} must name columns in braces, such as {{page_dir}}/{{videoid}}.mp4")


def flag_of(role: str) -> str:
    """The flag that maps a role to a column."""
    return f"--col-{role.replace('_', '-')}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RowProblem:
    """One row (or file) that gives no clip, and why. The other rows go on."""

    manifest: str  # uri of the table, or of the file
    row: int | None  # the first data row is 1; None for a file that no table names
    kind: ProblemKind
    message: str

    def __str__(self) -> str:
        return f"{self.manifest}: {self.message}" if self.row is None else f"{self.manifest}: row {self.row}: {self.message}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The clips that all inputs together ask for, in the order of the inputs and their rows."""

    specs: tuple[ClipSpec, ...]
    problems: tuple[RowProblem, ...]
    missing_cameras: int = 0  # clips whose row names a camera file that is not there; they go on without cameras

    def count(self, kind: str) -> int:
        """Number of problems of this kind."""
        return sum(problem.kind == kind for problem in self.problems)
