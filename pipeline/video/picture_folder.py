"""Folders of numbered pictures as sources: half the field has its frames on disk. Frame i is the i-th number, at i / fps seconds."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from av.video.frame import VideoFrame

from pipeline import storage
from pipeline.errors import DataError
from pipeline.video.images import ShownImage, shown_image
from pipeline.video.probe import VideoProbe

CODEC = "pictures"  # what the probe of such a folder says
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_NUMBERED = re.compile(r"(?P<before>.*?)(?P<number>[0-9]{1,30})(?P<after>[^0-9]*)", re.DOTALL)  # the last digits of the stem count


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureFolder:
    """The pictures of one folder, in the order of their numbers."""

    uris: tuple[str, ...]  # as to be opened
    num_bytes: int
    first_number: int
    step: int  # between two numbers


def is_picture(uri: str) -> bool:
    """Whether a file's suffix is that of a picture."""
    return posixpath.splitext(uri)[1].lower() in PICTURE_SUFFIXES


def numbered_folder(uri: str) -> bool:
    """Whether a folder directly holds a picture."""
    return any(is_picture(path) for path, _ in _direct_files(uri))


def read_folder(source: str, name: str) -> PictureFolder:
    """The pictures that a folder directly holds; hidden files do not count.

    Args:
        source: the folder, its name as to be opened.
        name: stands in errors.
    Raises: DataError if there is none, if they are not one sequence (other names than by the number, a number twice), or if
        numbers are missing; StorageError.
    """
    sizes = dict(_direct_files(source))
    pictures = [path for path in sizes if is_picture(path) and not posixpath.basename(path).startswith(".")]
    if not pictures:
        raise DataError(f"{name}: no picture in the folder; bring them back, or drop it")
    numbers = _numbers(pictures, name)
    ordered = sorted(numbers)
    steps = [after - before for before, after in pairwise(ordered)]
    step = min(steps, default=1)
    if max(steps, default=1) > step:
        place = next(place for place, found in enumerate(steps) if found > step)
        before, after = (posixpath.basename(numbers[ordered[at]]) for at in (place, place + 1))
        raise DataError(
            f"{name}: pictures are missing between {before} and {after} (others are {step} apart);"
            " bring them back, number the pictures anew, or move each run into a folder of its own"
        )
    uris = tuple(numbers[number] for number in ordered)
    return PictureFolder(uris=uris, num_bytes=sum(sizes[uri] for uri in uris), first_number=ordered[0], step=step)


def _numbers(pictures: Sequence[str], name: str) -> dict[int, str]:
    """Number -> picture."""
    found: dict[int, str] = {}
    patterns: dict[tuple[str, str], str] = {}
    for path in sorted(pictures):
        file = posixpath.basename(path)
        match = _NUMBERED.fullmatch(posixpath.splitext(file)[0])
        if match is None:
            raise DataError(f"{name}: {storage.escape_name(file)} has no number; give every frame one, and move other pictures away")
        patterns.setdefault((match["before"], match["after"]), file)
        if len(patterns) > 1:
            first, other = (storage.escape_name(example) for example in patterns.values())
            raise DataError(f"{name}: {first} and {other} are not of one sequence; give each sequence a folder of its own")
        number = int(match["number"])
        if number in found:
            twice = f"{storage.escape_name(posixpath.basename(found[number]))} and {storage.escape_name(file)}"
            raise DataError(f"{name}: {twice} have one number; keep one of them")
        found[number] = path
    return found


def probe_pictures(source: str, name: str, fps: float) -> VideoProbe:
    """Probe of a folder of pictures as a video of `fps` frames per second. Only the first picture is decoded.

    Raises: DataError as `read_folder`, or if the first picture cannot be read; StorageError.
    """
    folder = read_folder(source, name)
    first = _load(folder.uris[0], name)
    notes = [f"pictures taken to be {fps:g} a second", *first.notes]
    notes += [f"pictures are numbered in steps of {folder.step}"] if folder.step > 1 else []
    pts = np.arange(len(folder.uris), dtype=np.int64)
    height, width = first.pixels.shape[:2]
    return VideoProbe(
        codec=CODEC,
        pixel_format="rgb24",
        width=width,
        height=height,
        quarter_turns=0,
        time_base=1 / Fraction(fps).limit_denominator(1_000_000),
        pts=pts,
        key_pts=pts,
        video_bytes=folder.num_bytes,
        notes=tuple(notes),
    )


def picture_frames(source: str, name: str, probe: VideoProbe, first: int) -> Iterator[tuple[int, VideoFrame]]:
    """Pictures from index `first` on with their index, as rgb24; one that cannot be read, or is of another size, ends them.

    Raises: DataError naming the picture.
    """
    folder = read_folder(source, name)
    if len(folder.uris) != probe.num_frames:
        raise DataError(f"{name}: {len(folder.uris)} pictures, {probe.num_frames} when it was probed; restore them, or give another root")
    for index in range(first, probe.num_frames):
        picture = _load(folder.uris[index], name).pixels
        if picture.shape[:2] != (probe.height, probe.width):
            found = f"{picture.shape[1]}x{picture.shape[0]}"
            file = storage.escape_name(posixpath.basename(folder.uris[index]))
            raise DataError(
                f"{name}: {file} (frame {index}) is {found}, the first picture {probe.width}x{probe.height};"
                " bring all to one size, or move each size into a folder of its own"
            )
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = index, probe.time_base
        yield index, frame


def _load(uri: str, name: str) -> ShownImage:
    return shown_image(storage.read_bytes(uri), f"{name}: {storage.escape_name(posixpath.basename(uri))}")


def _direct_files(folder: str) -> Iterator[tuple[str, int]]:
    """Files that lie directly in a folder, with their sizes in bytes."""
    with storage.explained(folder, "list"):
        fs, path = storage.file_system(folder)
        for entry in fs.ls(path, detail=True):
            if entry["type"] != "directory":
                found = str(entry["name"])
                yield found if storage.is_local(folder) else str(fs.unstrip_protocol(found)), int(entry["size"] or 0)
