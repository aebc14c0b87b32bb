"""TAPVid-3D: the benchmark of 3D point tracks, from three recordings of the real world. An evaluation set."""

import posixpath
import re
from dataclasses import replace

import numpy as np

from pipeline.datasets.camera_tracks import CAMERA, IMAGES, TRACKS, VISIBILITY, Recording, check_arrays_of, read_clip
from pipeline.datasets.files import FileTree, check_sequences, clip_frames, count_frames
from pipeline.datasets.npz import NpzFile, open_npz
from pipeline.datasets.source import SequenceInfo
from pipeline.datasets.tracks import first_frame_of
from pipeline.records.truth import TruthClip
from pipeline.storage import absolute, join

_LAYOUT = "adt/NAME.npz, drivetrack/NAME.npz or pstudio/NAME.npz"
_ARRAYS = (IMAGES, TRACKS, VISIBILITY, "queries_xyt", CAMERA)
RECORDINGS = {
    "adt": Recording(fps=30.0, license="annotations CC-BY-4.0; video under the Aria Digital Twin terms"),
    "drivetrack": Recording(fps=10.0, license="annotations CC-BY-4.0; video under the Waymo Open Dataset terms"),
    "pstudio": Recording(fps=30.0, license="annotations CC-BY-4.0; video under the CMU Panoptic Studio terms", camera_stands=True),
}


class TapVid3dSource:
    """Tracks in the camera of each frame, metres; 2D tracks are their projections. Every sequence is of the split `test`.

    Poses are world to camera in adt and drivetrack; the camera of pstudio stands still. Depth, which some copies add, is not part of the
    benchmark and not read. The JPEG files lie in the .npz as pickled bytes, which the restricted unpickler reads.
    Source: datasets' section "TAPVid-3D".
    """

    name = "tapvid3d"
    keep_images = True

    def __init__(self, root: str, *, license: str | None = None, trust_pickle: bool = False) -> None:
        """`root` holds the .npz files, at any depth; `license` replaces what is noted for each of the three recordings.

        Args:
            trust_pickle: also read files whose pickle asks for more than bytes and arrays: it may run any code.
        """
        self._root, self._trust_pickle, self._license = absolute(root), trust_pickle, license
        self.license: str | None = license or "annotations CC-BY-4.0; videos under their providers' terms"

    def sequences(self) -> list[SequenceInfo]:
        """All videos; of each file only the header of one array is read. Raises: ConfigError if there are none."""
        tree = FileTree(self._root)
        found = [self._sequence(tree.relative(uri)) for uri in tree.files if uri.endswith(".npz")]
        return check_sequences(self.name, self._root, sequences=found, layout=_LAYOUT)

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, as their files, with tracks and camera. Raises: DataError."""
        origin = sequence.extra["origin"]
        span = slice(first_frame, first_frame + num_frames)
        with open_npz(join(self._root, sequence.extra["file"]), trust_pickle=self._trust_pickle) as file:
            clip_frames(range(_num_frames(file)), sequence, first_frame=first_frame, num_frames=num_frames)
            clip = read_clip(file, span, RECORDINGS[origin])
            queries = np.asarray(file.read("queries_xyt"))
        assert clip.visibility is not None, "every file of the benchmark has tracks"
        return replace(
            clip,
            query_frame=_query_frames(queries, clip.visibility, span),
            license=self._license or clip.license,
            meta={"camera": origin, **clip.meta},
        )

    def _sequence(self, relative: str) -> SequenceInfo:
        origin = origin_of(relative)

        def count() -> int:
            with open_npz(join(self._root, relative)) as file:
                return _num_frames(file)

        return SequenceInfo(
            name=f"{origin}/{posixpath.basename(relative).removesuffix('.npz')}",
            num_frames=count_frames(count),
            split="test",
            extra={"file": relative, "origin": origin},
        )


def origin_of(path: str) -> str:
    """Recording, one of three, that a file is from, by its folder's name or else its own."""
    *folders, name = path.split("/")
    for folder in reversed(folders):
        if folder in RECORDINGS:
            return folder
    if name.startswith("tapvid3d_"):
        return "drivetrack"
    return "adt" if re.match(r"Lite|Apartment", name) else "pstudio"


def _num_frames(file: NpzFile) -> int:
    check_arrays_of(file, _ARRAYS, benchmark="TAPVid-3D")
    return file.shape(TRACKS)[0]


def _query_frames(queries_xyt: np.ndarray, visible: np.ndarray, span: slice) -> np.ndarray:
    """int32 "N": the benchmark's query frame where the clip holds it, else the first frame of the clip that shows the point."""
    frames = np.round(queries_xyt[:, 2]).astype(np.int64)
    return np.where((frames >= span.start) & (frames < span.stop), frames - span.start, first_frame_of(visible)).astype(np.int32)
