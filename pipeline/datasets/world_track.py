"""WorldTrack: St4RTrack's benchmark of tracks and geometry in the world of the first camera. An evaluation set."""

import logging
import posixpath
from dataclasses import replace

from pipeline.datasets.camera_tracks import CAMERA, IMAGES, TRACKS, VISIBILITY, Recording, check_arrays_of, read_clip
from pipeline.datasets.files import FileTree, check_sequences, clip_frames, count_frames
from pipeline.datasets.npz import NpzFile, open_npz
from pipeline.datasets.source import SequenceInfo
from pipeline.datasets.tapvid3d import RECORDINGS
from pipeline.records.truth import TruthClip
from pipeline.storage import absolute, join

FRAMES = 64  # of a video that count: its first ones
SUBSETS = {
    "adt_mini": replace(RECORDINGS["adt"], depth_source="gt"),
    "pstudio_mini": replace(RECORDINGS["pstudio"], depth_source="gt"),
    "po_mini": Recording(fps=30.0, license="CC BY-NC-SA 4.0", depth_source="gt"),
    "ds_mini": Recording(fps=30.0, license="the provider's agreement", depth_source="gt"),
    "tum": Recording(fps=30.0, license="the provider's terms", depth_source="sensor"),
}
_LAYOUT = ", ".join(f"{subset}/NAME.npz" for subset in SUBSETS)
_LOG = logging.getLogger(__name__)


class WorldTrackSource:
    """First 64 frames of each video, of five subsets; every sequence is of the split `test`.

    Tracks are in the camera of each frame, metres; poses, where given, world to camera; without them the camera of pstudio_mini stands
    still, and other cameras are unknown. tum has no tracks: it is for reconstruction. Depth, where given, is metres along z. A track
    with a position that is not finite is left out, so that the others are known in all frames, also behind the camera and hidden, as
    the benchmark counts them; `meta` says so (`tracks_complete`), and the subset. The JPEG files may lie in the .npz as pickled bytes,
    which the restricted unpickler reads.
    Source: St4RTrack, WorldTrack benchmark.
    """

    name = "worldtrack"
    keep_images = True
    clip_frames = FRAMES

    def __init__(self, root: str, *, license: str | None = None, trust_pickle: bool = False) -> None:
        """`root` holds the subsets' folders, at any depth, or is one; `license` replaces what is noted for each.

        Args:
            trust_pickle: also read files whose pickle asks for more than bytes and arrays: it may run any code.
        """
        self._root, self._trust_pickle, self._license = absolute(root), trust_pickle, license
        self.license: str | None = license or "each subset's own terms"

    def sequences(self) -> list[SequenceInfo]:
        """All videos; of each file only headers are read. Raises: ConfigError if no subset is there."""
        tree = FileTree(self._root)
        files = [tree.relative(uri) for uri in tree.files if uri.endswith(".npz")]
        found = [(path, subset) for path in files if (subset := self._subset(path)) is not None]
        if found and len(found) < len(files):
            _LOG.warning(
                "%s: %d of %d .npz files lie in no subset's folder and are left out", self._root, len(files) - len(found), len(files)
            )
        return check_sequences(self.name, self._root, sequences=[self._sequence(*each) for each in found], layout=_LAYOUT)

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, as their files, with camera, and tracks and depth where the file has them. Raises: DataError."""
        subset = sequence.extra["subset"]
        with open_npz(join(self._root, sequence.extra["file"]), trust_pickle=self._trust_pickle) as file:
            clip_frames(range(_num_frames(file)), sequence, first_frame=first_frame, num_frames=num_frames)
            clip = read_clip(file, slice(first_frame, first_frame + num_frames), SUBSETS[subset], only_finite=True)
        return replace(clip, license=self._license or clip.license, meta={**clip.meta, "subset": subset, "tracks_complete": True})

    def _subset(self, relative: str) -> str | None:
        """The innermost folder that is a subset's, the root's own name counted."""
        folders = posixpath.dirname(posixpath.join(posixpath.basename(self._root), relative)).split("/")
        return next((folder for folder in reversed(folders) if folder in SUBSETS), None)

    def _sequence(self, relative: str, subset: str) -> SequenceInfo:
        def count() -> int:
            with open_npz(join(self._root, relative)) as file:
                return _num_frames(file)

        return SequenceInfo(
            name=f"{subset}/{posixpath.basename(relative).removesuffix('.npz')}",
            num_frames=count_frames(count),
            split="test",
            extra={"file": relative, "subset": subset},
        )


def _num_frames(file: NpzFile) -> int:
    tracks = (TRACKS, VISIBILITY) if TRACKS in file.names else ()
    check_arrays_of(file, (IMAGES, CAMERA, *tracks), benchmark="WorldTrack")
    return min(FRAMES, file.shape(IMAGES)[0])
