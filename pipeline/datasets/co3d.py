"""Common Objects in 3D (v2): turns around objects, with cameras and depth from structure from motion, of unknown scale."""

import json
import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.datasets.files import check_sequences, clip_frames, read_file
from pipeline.datasets.frame_annotations import annotated_depth, annotation_records, viewpoint_of
from pipeline.datasets.pictures import image_suffix, read_pictures
from pipeline.datasets.poses import camera_path, inverse_poses, pixel_centre_intrinsics, world_to_camera
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import ConfigError, DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import absolute, glob, join
from pipeline.video.images import decode_image

_SET_LISTS = "set_lists/set_lists_fewview_dev.json"


@dataclass(frozen=True, slots=True)
class Co3dSource:
    """`CATEGORY/frame_annotations.jgz`, `sequence_annotations.jgz` and `set_lists/`, and the files that the records name, from the root.

    Sequences whose cameras are doubtful are left out: those of a `viewpoint_quality_score` of `min_quality` or less, or without one.
    The few-view lists say which sequences are for testing; those that they do not name are for training. Depth counts where the file's own
    mask of reliable depth has it; its unit is the reconstruction's. Sequences are named apple/110_13051_23361 and are whole clips, for
    evaluation; give `--clip-frames` for training.
    Source: datasets' table, "Co3Dv2"; lists and scores from general knowledge, not checked against a download.
    """

    path: str
    _: KW_ONLY
    license: str | None = "CC BY-NC 4.0"
    min_quality: float = 0.5
    name: str = field(default="co3d", init=False)
    keep_images: bool = field(default=True, init=False)
    clip_frames: int = field(default=0, init=False)
    min_frames: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        if type(self.min_quality) not in (int, float):
            raise ConfigError(f"--option min_quality is {self.min_quality!r}, expected a number, such as 0.5")

    def sequences(self) -> Sequence[SequenceInfo]:
        """The sequences of all categories. Raises: ConfigError if there is no category, DataError for a file that cannot be read."""
        found = []
        for uri in glob(join(absolute(self.path), "*", "frame_annotations.jgz")):
            folder = posixpath.dirname(uri)
            category, splits, good = posixpath.basename(folder), _splits(join(folder, _SET_LISTS)), self._good(folder)
            found += [
                SequenceInfo(
                    name=f"{category}/{name}",
                    num_frames=len(records),
                    split=splits.get(name, "train"),
                    extra={"category": category, "sequence": name},
                )
                for name, records in _sequences_of(uri).items()
                if name in good
            ]
        return check_sequences(self.name, self.path, sequences=found, layout="apple/frame_annotations.jgz")

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, as their files, with depth where all have it, and cameras. Raises: DataError."""
        root = absolute(self.path)
        where = join(root, sequence.extra["category"], "frame_annotations.jgz")
        found = _sequences_of(where).get(sequence.extra["sequence"], ())
        records = clip_frames(found, sequence, first_frame=first_frame, num_frames=num_frames)
        uris = [join(root, record["image"]["path"]) for record in records]
        pictures = read_pictures(uris, keep_files=True)
        views = [viewpoint_of(record) for record in records]
        path = camera_path(inverse_poses(np.stack([world_to_camera(view) for view in views])), where=where)
        times = np.array([record["frame_timestamp"] for record in records], np.float64)
        depth = None
        if all((record.get("depth") or {}).get("path") for record in records):
            depth = _reliable(annotated_depth(records, root, pictures.original_size), records, root)
        return TruthClip(
            frames=pictures.frames,
            images=pictures.images,
            image_suffix=image_suffix(uris),
            frame_times=times - times[0],
            intrinsics=np.stack([pixel_centre_intrinsics(view, pictures.original_size) for view in views]).astype(np.float32),
            camera_to_world=None if path is None else path.camera_to_world,
            pose_valid=None if path is None else path.pose_valid,
            depth=depth,
            is_metric=False,
            depth_source=None if depth is None else "mvs",
            license=self.license,
            meta={"orig_size": list(pictures.original_size), "first_number": int(records[0]["frame_number"])},
        )

    def _good(self, folder: str) -> set[str]:
        """Names of the sequences of a category whose cameras can be trusted."""
        records = annotation_records(join(folder, "sequence_annotations.jgz"))
        return {str(each["sequence_name"]) for each in records if (each.get("viewpoint_quality_score") or 0) > self.min_quality}


@lru_cache(maxsize=1)
def _sequences_of(uri: str) -> dict[str, tuple[dict[str, Any], ...]]:
    """Records of a category's sequences by frame number; kept while its clips are read, since finding them reads the whole file."""
    found = defaultdict(list)
    for record in annotation_records(uri):
        kept = ("frame_number", "frame_timestamp", "image", "depth", "viewpoint")
        found[str(record["sequence_name"])].append({name: record.get(name) for name in kept})
    return {name: tuple(sorted(records, key=lambda record: int(record["frame_number"]))) for name, records in found.items()}


def _splits(uri: str) -> dict[str, str]:
    """Splits of the sequences that the few-view lists name. Raises: DataError."""
    try:
        lists = json.loads(read_file(uri))
        return {str(entry[0]): split for split in ("train", "val", "test") for entry in lists[split]}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{uri}: no lists `train`, `val`, `test` of [sequence, frame, path] ({error}); fetch it again") from error


def _reliable(depth: np.ndarray, records: Sequence[Mapping[str, Any]], root: str) -> np.ndarray:
    """The depth, 0 where the records' masks do not vouch for it. Raises: DataError."""
    for place, record in enumerate(records):
        path = record["depth"].get("mask_path")
        if path is None:
            continue
        mask = decode_image(read_file(join(root, path)), join(root, path))[..., 0] > 0
        if mask.shape != depth[place].shape:
            raise DataError(f"{join(root, path)}: a mask of {list(mask.shape)}, its depth is {list(depth[place].shape)}; fetch both again")
        depth[place] *= mask
    return depth
