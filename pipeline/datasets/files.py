"""Files of a dataset: listings, folders of frames, tables of numbers; an error says which file is missing."""

import io
import logging
import posixpath
import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, TypeVar

import numpy as np

from pipeline.datasets.source import SequenceInfo
from pipeline.errors import ConfigError, DataError, StorageError
from pipeline.storage import absolute, exists, list_files, read_bytes

Frame = TypeVar("Frame")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameFile:
    """One frame's image."""

    number: int  # as the file's name has it
    uri: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameFolder:
    """A folder of numbered images."""

    uri: str
    relative: str  # to the dataset's root
    parts: tuple[str, ...]  # what the pattern's groups before the number matched
    num_frames: int


@dataclass(frozen=True)
class FileTree:
    """All files below a dataset's root, listed once: one walk, or one request per thousand names in an object store."""

    root: str

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Uris, sorted. Raises: ConfigError if there are none."""
        files = tuple(list_files(absolute(self.root)))
        if not files:
            raise ConfigError(f"{self.root}: there are no files; give the folder that the dataset was unpacked into")
        return files

    @cached_property
    def folders(self) -> frozenset[str]:
        """Uris of the folders that hold files themselves."""
        return frozenset(posixpath.dirname(uri) for uri in self.files)

    @cached_property
    def by_name(self) -> Mapping[str, str]:
        """Uris by the files' own names; of two files of one name the last."""
        return {posixpath.basename(uri): uri for uri in self.files}

    def frame_folders(self, pattern: re.Pattern[str]) -> list[FrameFolder]:
        """Folders of files whose whole uri ends as `pattern` says; its last group is the frame's number."""
        found: dict[tuple[str, tuple[str, ...]], int] = defaultdict(int)
        for uri in self.files:
            if match := pattern.search(uri):
                found[posixpath.dirname(uri), match.groups()[:-1]] += 1
        return [
            FrameFolder(uri=uri, relative=self.relative(uri), parts=parts, num_frames=count)
            for (uri, parts), count in sorted(found.items())
        ]

    def relative(self, uri: str) -> str:
        """A uri below the root, seen from it."""
        return posixpath.relpath(uri, absolute(self.root))


def list_frames(folder: str, pattern: re.Pattern[str]) -> list[FrameFile]:
    """The images of one folder by their numbers, which are the last group of `pattern`."""
    matches = [match for uri in list_files(folder) if (match := pattern.search(uri))]
    return sorted((FrameFile(number=int(match.groups()[-1]), uri=match.string) for match in matches), key=lambda frame: frame.number)


def clip_frames(frames: Sequence[Frame], sequence: SequenceInfo, *, first_frame: int, num_frames: int) -> Sequence[Frame]:
    """Those of a sequence's frames that make the clip. Raises: DataError if they are not all there, or not those of the listing."""
    if len(frames) != sequence.num_frames:
        raise DataError(
            f"{sequence.name}: {len(frames)} frames found, {sequence.num_frames} when the dataset was listed; it changed since: plan anew"
        )
    if num_frames < 1 or not 0 <= first_frame <= len(frames) - num_frames:
        raise DataError(f"{sequence.name}: frames {first_frame} to {first_frame + num_frames - 1} asked for, it has 0 to {len(frames) - 1}")
    return frames[first_frame : first_frame + num_frames]


def read_file(uri: str) -> bytes:
    """The bytes of a file that the dataset must have. Raises: DataError if there is none, StorageError if it cannot be read."""
    try:
        return read_bytes(uri)
    except StorageError as error:
        if exists(uri):
            raise
        raise DataError(f"{uri}: there is no such file, but the dataset's layout needs it; unpack or download it again") from error


def count_frames(count: Callable[[], int]) -> int:
    """Number of frames of a sequence; 0, and a warning, where its files cannot be read: planning makes that an error of the sequence."""
    try:
        return count()
    except DataError as error:
        _LOG.warning("%s (listed as a sequence of no frames)", error)
        return 0


def check_sequences(dataset: str, root: str, *, sequences: Sequence[SequenceInfo], layout: str) -> list[SequenceInfo]:
    """The sequences by name; how many came without depth is logged. Raises: ConfigError if there are none, or two of one name."""
    if not sequences:
        raise ConfigError(f"{root}: no {dataset} sequence found, expected files such as {layout}; give the folder that holds them")
    ordered = sorted(sequences, key=lambda sequence: sequence.name)
    for left, right in zip(ordered, ordered[1:], strict=False):
        if left.name == right.name:
            raise ConfigError(f"{root}: {left.name} is there twice ({dict(left.extra)} and {dict(right.extra)}); convert the copies apart")
    if flat := [sequence.name for sequence in ordered if sequence.extra.get("has_depth") is False]:
        _LOG.warning("%s: %d of %d sequences have no depth, %s first; is its part unpacked?", root, len(flat), len(ordered), flat[0])
    return ordered


class FrameFolderSource(ABC):
    """A subclass names the dataset, its terms and how its image files lie, and reads clips."""

    name: ClassVar[str]
    keep_images: ClassVar[bool] = False
    terms: ClassVar[str]  # its licence
    images: ClassVar[re.Pattern[str]]  # of an image's path; its groups but the last become `FrameFolder.parts`
    layout: ClassVar[str]  # an example of such a path, for errors

    def __init__(self, root: str, *, license: str | None = None) -> None:
        """`root` holds the dataset, at any depth; `license` replaces `terms`."""
        self._root = absolute(root)
        self.license: str | None = license or self.terms

    def sequences(self) -> list[SequenceInfo]:
        """All sequences. Raises: ConfigError if there are none."""
        tree = FileTree(self._root)
        found = [self._sequence(tree, folder) for folder in tree.frame_folders(self.images)]
        return check_sequences(self.name, self._root, sequences=found, layout=self.layout)

    @abstractmethod
    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        """The sequence whose images lie in a folder."""


def read_table(uri: str, *, columns: int, header_lines: int = 0) -> np.ndarray:
    """Rows of numbers set apart by blanks, float64 "R columns"; `nan` and `-inf` are numbers, lines with # are comments.

    Raises: DataError if the file is missing, holds anything else, or rows of another length.
    """
    try:
        text = read_file(uri).decode()
        table = np.array([line.split() for line in _lines(text)[header_lines:]], np.float64)
    except (UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{uri}: not {columns} numbers in every row ({error}); download it again") from error
    if table.ndim != 2 or table.shape[1] != columns:
        raise DataError(f"{uri}: a table of shape {list(table.shape)}, expected {columns} numbers in every row; is it this dataset's file?")
    return table


def read_matrices(uris: Sequence[str]) -> np.ndarray:
    """One 4x4 matrix from each text file, float64 "T 4 4". Raises: DataError."""
    matrices = []
    for uri in uris:
        matrix = read_table(uri, columns=4)
        if matrix.shape != (4, 4):
            raise DataError(f"{uri}: {len(matrix)} rows, expected the 4 of a pose; download or export it again")
        matrices.append(matrix)
    return np.stack(matrices)


def _lines(text: str) -> list[str]:
    stripped = (line.partition("#")[0].strip() for line in io.StringIO(text))
    return [line for line in stripped if line]
