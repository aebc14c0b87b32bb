"""NYU Depth v2, the 654 pictures of its test set: single photographs of rooms with depth. An evaluation set."""

import re

import numpy as np

from pipeline.datasets.files import FileTree, check_sequences, clip_frames
from pipeline.datasets.pictures import read_depths, read_npy_depth, read_pictures, zero_where_invalid
from pipeline.datasets.source import SequenceInfo
from pipeline.records.truth import TruthClip
from pipeline.storage import absolute, join

_IMAGE = re.compile(r"/nyu_images/([^/]+)\.png$")
_LAYOUT = "nyu_images/00001.png, nyu_depths/00001.npy"


class NyuV2Source:
    """Each picture is a clip of one frame, of the split `test`; depth is measured and filled in, float metres along z.

    The layout is the one that public evaluations of monocular depth prepare from the published HDF5 files: arrays `rgb` as PNG, arrays
    `depth` as NumPy files. No intrinsics are read. Source: datasets' table, "NYU-v2".
    """

    name = "nyu_v2"
    keep_images = True
    clip_frames = 1
    min_frames = 1

    def __init__(self, root: str, *, license: str | None = None) -> None:
        """`root` holds the two folders, at any depth; `license` replaces the note on the provider's terms."""
        self._root = absolute(root)
        self.license: str | None = license or "terms of the NYU Depth v2 provider"

    def sequences(self) -> list[SequenceInfo]:
        """All pictures. Raises: ConfigError if there are none."""
        tree = FileTree(self._root)
        files = frozenset(tree.files)
        found = [
            SequenceInfo(
                name=match[1],
                num_frames=1,
                split="test",
                extra={"image": tree.relative(uri), "has_depth": _depth_of(uri) in files},
            )
            for uri in tree.files
            if (match := _IMAGE.search(uri))
        ]
        return check_sequences(self.name, self._root, sequences=found, layout=_LAYOUT)

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """The picture, as its file, with its depth. Raises: DataError."""
        uris = clip_frames([join(self._root, sequence.extra["image"])], sequence, first_frame=first_frame, num_frames=num_frames)
        pictures = read_pictures(uris, keep_files=True)
        depth = read_depths([_depth_of(uri) for uri in uris], read_npy_depth, size=pictures.original_size)
        return TruthClip(
            frames=pictures.frames,
            images=pictures.images,
            image_suffix="png",
            frame_times=np.zeros(1),
            depth=zero_where_invalid(depth),
            is_metric=True,
            depth_source="sensor",
            license=self.license,
            meta={"orig_size": list(pictures.original_size)},
        )


def _depth_of(image: str) -> str:
    return _IMAGE.sub(r"/nyu_depths/\1.npy", image)
