"""Streams of a recording that were stamped by one clock but not taken at once: which depth and which pose belong to a frame."""

import bisect
import re
from dataclasses import dataclass

import numpy as np

from pipeline.datasets.files import read_file
from pipeline.errors import DataError
from pipeline.storage import absolute, exists, join, list_files

_STAMP = re.compile(r"/(\d+(?:\.\d+)?)\.png$")


@dataclass(frozen=True, kw_only=True, slots=True)
class StampedFile:
    """An image and when it was taken."""

    time_s: float
    uri: str


def stamped_files(sequence: str, stream: str) -> list[StampedFile]:
    """Images of one stream (`rgb`, `depth`) in order of time: from SEQUENCE/STREAM.txt, or, without it, from the files' names.

    Raises: DataError if a line is not `timestamp path`.
    """
    index = join(sequence, f"{stream}.txt")
    if not exists(index):
        matches = [match for uri in list_files(join(sequence, stream)) if (match := _STAMP.search(absolute(uri)))]
        found = [StampedFile(time_s=float(match[1]), uri=match.string) for match in matches]
    else:
        lines = [line.split() for line in read_file(index).decode(errors="replace").splitlines() if line.strip() and line[0] != "#"]
        try:
            found = [StampedFile(time_s=float(stamp), uri=join(sequence, path)) for stamp, path in lines]
        except ValueError as error:
            raise DataError(f"{index}: a line is not `timestamp path` ({error}); download it again") from error
    return sorted(found, key=lambda file: file.time_s)


def associate(times_s: np.ndarray, others_s: np.ndarray, *, tolerance_s: float) -> np.ndarray:
    """For each time the index of the other that belongs to it, or -1, int64 "N". Nobody belongs to two; the closest pair is made first.

    Args:
        times_s: "N", increasing.
        others_s: "M", increasing.
        tolerance_s: pairs differ by less.
    Source: associate.py of the TUM RGB-D benchmark.
    """
    others = others_s.tolist()
    candidates = []
    for index, time_s in enumerate(times_s.tolist()):
        first, end = bisect.bisect_left(others, time_s - tolerance_s), bisect.bisect_right(others, time_s + tolerance_s)
        candidates += [(abs(time_s - others[other]), index, other) for other in range(first, end)]
    partner, taken = np.full(len(times_s), -1), set()
    for difference, index, other in sorted(candidates):
        if difference < tolerance_s and partner[index] < 0 and other not in taken:
            partner[index] = other
            taken.add(other)
    return partner
