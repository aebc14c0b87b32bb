"""What one step of training sees: clips of one length and size, with truth or with pseudo tracks."""

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from pipeline.errors import DataError
from trainer.losses import GeometryTruth, TrackObservations

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipBatch:
    """B clips of T frames, H x W pixels each, with N tracks: all with truth, or all with pseudo tracks.

    Pixels are (x, y), integers their centres. Tracks are asked in frame 0. A clip with fewer than N of them is filled up with tracks of
    weight 0, unknown and never visible, whose query is the middle of the image.
    """

    keys: tuple[str, ...]
    datasets: tuple[str, ...]  # what the stream calls the dataset that each clip is of
    licenses: tuple[str | None, ...]
    images: Tensor  # float32 "B T 3 H W" in [0, 1], RGB
    query_points: Tensor  # float32 "B N 2", in frame 0, inside the image
    observations: TrackObservations  # where the tracks are seen, in these pixels, and how much they count
    is_metric: Tensor  # bool "B": lengths of the truth are metres
    geometry: GeometryTruth | None = None  # in the clip's own world and unit; None without truth, as the three below
    tracks3d_world: Tensor | None = None  # float32 "B T N 3", in the world of the cameras; NaN where not known
    track_valid: Tensor | None = None  # bool "B T N"
    visibility: Tensor | None = None  # bool "B T N": known, and seen within the image

    def __post_init__(self) -> None:
        num_clips, num_frames, _, height, width = self.images.shape
        num_tracks = self.query_points.shape[1]
        per_track = (num_clips, num_frames, num_tracks)
        for name, shape in {
            "images": (num_clips, num_frames, 3, height, width),
            "query_points": (num_clips, num_tracks, 2),
            "is_metric": (num_clips,),
            "tracks3d_world": (*per_track, 3),
            "track_valid": per_track,
            "visibility": per_track,
        }.items():
            tensor = getattr(self, name)
            if tensor is not None and tensor.shape != shape:
                raise DataError(f"clips {', '.join(self.keys)}: {name} is {list(tensor.shape)}, expected {list(shape)}")
        found = tuple(self.observations.frame_weights.shape)
        if found != per_track or not len(self.keys) == len(self.datasets) == len(self.licenses) == num_clips:
            raise DataError(f"clips {', '.join(self.keys)}: {num_clips} clips, observations {list(found)}, expected {list(per_track)}")
        truth = (self.geometry, self.tracks3d_world, self.track_valid, self.visibility)
        if len({part is None for part in truth}) > 1:
            raise DataError(f"clips {', '.join(self.keys)}: geometry and true tracks come together or not at all")

    def truth(self) -> GeometryTruth:
        """True geometry. Raises: DataError, naming the clips, if they have none."""
        if self.geometry is None:
            raise DataError(f"clips {', '.join(self.keys)} have no truth; list their dataset under data.pseudo")
        return self.geometry

    def to(self, device: torch.device | str) -> "ClipBatch":
        """The same clips on another device."""
        return _moved(self, device)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepBatch:
    """This rank's clips of one step: those with truth, those with pseudo tracks. All have the same length and size.

    A side is None where the configuration has none, or where every clip of it was skipped.
    """

    step: int  # counted from 0 over the whole training
    labelled: ClipBatch | None
    pseudo: ClipBatch | None

    def to(self, device: torch.device | str) -> "StepBatch":
        """The same clips on another device."""
        return _moved(self, device)


def _moved(record: Record, device: torch.device | str) -> Record:
    changes: dict[str, Any] = {}
    for field in fields(record):  # type: ignore[arg-type]  # every caller passes a dataclass
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            changes[field.name] = value.to(device, non_blocking=True)
        elif isinstance(value, ClipBatch | GeometryTruth | TrackObservations):
            changes[field.name] = _moved(value, device)
    return replace(record, **changes)  # type: ignore[type-var]
