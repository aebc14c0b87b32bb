"""Dynamic Replica: stereo videos of people in scanned rooms, with depth, cameras, and true tracks for the left camera."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.datasets.files import check_sequences, clip_frames, read_file
from pipeline.datasets.frame_annotations import annotated_depth, annotation_records, viewpoint_of
from pipeline.datasets.pictures import read_pictures
from pipeline.datasets.poses import pixel_centre_intrinsics, world_to_camera
from pipeline.datasets.projection import NEAR_M, camera_from_world, project
from pipeline.datasets.source import SequenceInfo
from pipeline.datasets.torch_files import load_pth
from pipeline.datasets.tracks import SourceTracks, add_tracks, to_pixel_centres
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip
from pipeline.storage import absolute, exists, join

_SPLITS = {"train": "train", "valid": "val", "test": "test", "real": None}


@dataclass(frozen=True, slots=True)
class DynamicReplicaSource:
    """`SPLIT/frame_annotations_SPLIT.jgz`, and the files that its records name, below SPLIT."""

    path: str
    _: KW_ONLY
    license: str | None = "Dynamic Replica agreement (research)"
    trust_pickle: bool = False
    name: str = field(default="dynamic-replica", init=False)
    keep_images: bool = field(default=False, init=False)

    def sequences(self) -> Sequence[SequenceInfo]:
        """Every sequence of every camera. Raises ConfigError if there is no split with its annotations."""
        found = []
        for split, ours in _SPLITS.items():
            uri = self._annotations(split)
            if exists(uri):
                counts: dict[tuple[str, str], int] = {}
                for record in annotation_records(uri):
                    place = (str(record["sequence_name"]), str(record["camera_name"]))
                    counts[place] = counts.get(place, 0) + 1
                found += [
                    SequenceInfo(
                        name=f"{split}/{name}/{camera}",
                        num_frames=count,
                        split=ours,
                        scene=f"{split}/{name}",
                        extra={"split": split, "sequence": name, "camera": camera},
                    )
                    for (name, camera), count in counts.items()
                ]
        return check_sequences(self.name, self.path, sequences=found, layout="train/frame_annotations_train.jgz")

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames, depth and cameras, and tracks where there are trajectories: those are of the left camera."""
        split = str(sequence.extra["split"])
        records = clip_frames(
            _records_of(self._annotations(split), str(sequence.extra["sequence"]), str(sequence.extra["camera"])),
            sequence,
            first_frame=first_frame,
            num_frames=num_frames,
        )
        folder = join(absolute(self.path), split)
        truth = _with_camera_and_depth(_with_pictures(records, folder, self.license), records, folder)
        paths = [(record.get("trajectories") or {}).get("path") for record in records]
        if not all(paths):
            return truth
        return _with_tracks(truth, [join(folder, str(path)) for path in paths], self.trust_pickle)

    def _annotations(self, split: str) -> str:
        return join(absolute(self.path), split, f"frame_annotations_{split}.jgz")


@lru_cache(maxsize=2)
def _records_of(uri: str, name: str, camera: str) -> tuple[dict[str, Any], ...]:
    """Records of one sequence and camera by frame number; kept while its clips are read, since finding them reads the whole file."""
    found = [record for record in annotation_records(uri) if (record["sequence_name"], record["camera_name"]) == (name, camera)]
    return tuple(sorted(found, key=lambda record: int(record["frame_number"])))


def _with_pictures(records: Sequence[Mapping[str, Any]], folder: str, license: str | None) -> TruthClip:
    pictures = read_pictures([join(folder, record["image"]["path"]) for record in records])
    times = np.array([record["frame_timestamp"] for record in records], np.float64)
    return TruthClip(
        frames=pictures.frames,
        frame_times=times - times[0],
        is_metric=True,
        license=license,
        meta={"orig_size": list(pictures.original_size), "camera": records[0]["camera_name"]},
    )


def _with_camera_and_depth(truth: TruthClip, records: Sequence[Mapping[str, Any]], folder: str) -> TruthClip:
    size = truth.frames.shape[1:3]
    views = [viewpoint_of(record) for record in records]
    return replace(
        truth,
        intrinsics=np.stack([pixel_centre_intrinsics(view, size) for view in views]).astype(np.float32),
        camera_to_world=np.linalg.inv(np.stack([world_to_camera(view) for view in views])).astype(np.float32),
        pose_valid=np.ones(len(views), bool),
        depth=annotated_depth(records, folder, size),
        depth_source="gt",
    )


def _with_tracks(truth: TruthClip, uris: Sequence[str], trust_pickle: bool) -> TruthClip:
    """One .pth per frame, the same points in the same order."""
    frames = [_Trajectories.read(uri, trust_pickle) for uri in uris]
    uneven = next((uri for uri, frame in zip(uris, frames, strict=True) if len(frame.world) != len(frames[0].world)), None)
    if uneven is not None:
        raise DataError(f"{uneven}: another number of tracks than in {uris[0]}; fetch the sequence again")
    world = np.stack([frame.world for frame in frames])
    visible = np.stack([frame.visible for frame in frames])
    stored = np.stack([frame.pixels for frame in frames])
    centred = to_pixel_centres(stored, _projected(truth, world, visible))
    truth = replace(truth, meta={**truth.meta, "pixel_origin": centred.origin})
    return add_tracks(truth, SourceTracks(tracks2d=centred.tracks2d, visible=visible, valid=np.ones_like(visible), world=world))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Trajectories:
    """One frame's file."""

    pixels: np.ndarray  # float64 "N 2"
    world: np.ndarray  # float64 "N 3"
    visible: np.ndarray  # bool "N"

    @classmethod
    def read(cls, uri: str, trust_pickle: bool) -> "_Trajectories":
        found = load_pth(read_file(uri), uri, trust_pickle=trust_pickle)
        names = ("traj_2d", "traj_3d_world", "verts_inds_vis")
        if not isinstance(found, dict) or any(name not in found for name in names):
            held = ", ".join(map(str, found)) if isinstance(found, dict) else type(found).__name__
            raise DataError(f"{uri}: holds {held}, expected {', '.join(names)}; is it this dataset's file?")
        pixels, world, visible = (np.asarray(found[name]) for name in names)
        return cls(pixels=pixels[:, :2].astype(np.float64), world=world.astype(np.float64), visible=visible.astype(bool))


def _projected(truth: TruthClip, world: np.ndarray, visible: np.ndarray) -> np.ndarray | None:
    if truth.camera_to_world is None or truth.intrinsics is None:
        return None
    camera = camera_from_world(world, truth.camera_to_world)
    return np.where((visible & (camera[..., 2] > NEAR_M))[..., None], project(camera, truth.intrinsics), np.nan)
