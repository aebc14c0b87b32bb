"""Clips of a training step: one prepared clip, and batches of clips of one length and size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from pipeline.errors import DataError
from trainer.data.track_queries import TrackQueries
from trainer.losses import GeometryTruth, TrackObservations

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedTruth:
    """Ground truth of T frames and N tracks, checked and finite."""

    depth: Tensor  # float32 "T H W", 0 = invalid
    intrinsics: Tensor  # float32 "T 3 3"
    camera_to_world: Tensor  # float32 "T 4 4"; the identity where not valid
    pose_valid: Tensor  # bool "T"
    sky_mask: Tensor | None  # bool "T H W"
    tracks3d_world: Tensor  # float32 "T N 3", NaN where not known
    visibility: Tensor  # bool "T N": known, and seen within the image
    with_normals: Tensor  # bool, a scalar: depth good enough for normals


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedClip:
    """One clip as a step takes it, in few bytes: T frames of H x W pixels with N tracks, asked in frame 0 or where `queries` says.

    What a batch needs of it on a device is a tensor, so that it travels with the others.
    """

    key: str
    dataset: str
    license: str | None
    index: int  # in its dataset's sequence
    is_metric: Tensor  # bool, a scalar
    images: Tensor  # uint8 "T H W 3"
    tracks_px: Tensor  # float32 "T N 2"
    frame_weights: Tensor  # float32 "T N"
    static_score: Tensor | None = None  # float32 "N"
    pose_weight: Tensor | None = None  # float32 "T"
    truth: PreparedTruth | None = None
    pseudo_depth: Tensor | None = None  # float32 "T H W", of a depth label set; 0 = invalid
    pseudo_depth_is_inverse: Tensor | None = None  # bool, a scalar: it is inverse depth, up to scale and shift
    queries: TrackQueries | None = None  # of its N tracks; None: all in frame 0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipBatch:
    """B clips of T frames, H x W pixels each, with N tracks: all with truth, or all with pseudo tracks.

    Pixels are (x, y), integers their centres. Tracks are asked in frame 0, unless `queries` says where. A clip with fewer than N of them is
    filled up with tracks of weight 0, unknown and never visible, whose query is the middle of the image.
    """

    keys: tuple[str, ...]
    datasets: tuple[str, ...]  # what the stream calls the dataset that each clip is of
    licenses: tuple[str | None, ...]
    images: Tensor  # float32 "B T 3 H W" in [0, 1], RGB
    query_points: Tensor  # float32 "B N 2", in frame 0 or that of `queries`, inside the image
    observations: TrackObservations  # where the tracks are seen, in these pixels, and how much they count
    is_metric: Tensor  # bool "B": lengths of the truth are metres
    geometry: GeometryTruth | None = None  # in the clip's own world and unit; None without truth, as the three below
    tracks3d_world: Tensor | None = None  # float32 "B T N 3", in the world of the cameras; NaN where not known
    track_valid: Tensor | None = None  # bool "B T N"
    visibility: Tensor | None = None  # bool "B T N": known, and seen within the image
    pseudo_depth: Tensor | None = None  # float32 "B T H W", of depth label sets, 0 = invalid; None where no clip has any
    pseudo_depth_is_inverse: Tensor | None = None  # bool "B": it is inverse depth, up to scale and shift
    queries: TrackQueries | None = None  # "B ..."; None: all in frame 0

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
            "pseudo_depth": (num_clips, num_frames, height, width),
            "pseudo_depth_is_inverse": (num_clips,),
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
        return _map_tensors(self, lambda tensor: tensor.to(device, non_blocking=True))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepBatch:
    """This rank's clips of one step: those with truth, those with pseudo tracks. All have the same length and size.

    A side is None where the configuration has none, or where every clip of it was skipped.
    """

    step: int  # counted from 0 over the whole training
    labelled: ClipBatch | None
    pseudo: ClipBatch | None
    skipped: tuple[str, ...] = ()  # dataset of each clip of this rank that could not be used
    transfer_s: float = 0.0  # seconds that this process spent on moving and collating clips since the last batch

    def to(self, device: torch.device | str) -> "StepBatch":
        """The same clips on another device."""
        return _map_tensors(self, lambda tensor: tensor.to(device, non_blocking=True))

    def keep_for(self, stream: torch.Stream) -> None:
        """Let a stream use memory that was allocated on another: it is free only when that stream is done with it."""

        def mark(tensor: Tensor) -> Tensor:
            tensor.record_stream(stream)
            return tensor

        _map_tensors(self, mark)


def _map_tensors(record: Record, change: Callable[[Tensor], Tensor]) -> Record:
    """The record with each of its tensors changed, within the records that it holds too."""
    changes: dict[str, Any] = {}
    for field in fields(record):  # type: ignore[arg-type]  # every caller passes a dataclass
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            changes[field.name] = change(value)
        elif isinstance(value, ClipBatch | GeometryTruth | TrackObservations | TrackQueries):
            changes[field.name] = _map_tensors(value, change)
    return replace(record, **changes)  # type: ignore[type-var]


def collate(clips: Sequence[PreparedClip]) -> ClipBatch | None:
    """Clips of one shape, all with truth or all without, as one batch on the device that they are on; None for none.

    Images become floats and depth becomes points there, so that few bytes travel.
    Fields that only some clips have are filled: a static score with NaN, a pose weight with 1, a sky mask with False, pseudo depth with 0.
    """
    if not clips:
        return None
    tracks_px = torch.stack([clip.tracks_px for clip in clips])
    observations = TrackObservations(
        tracks_px=tracks_px,
        frame_weights=torch.stack([clip.frame_weights for clip in clips]),
        static_score=_stack_or_none(
            [clip.static_score for clip in clips], lambda clip: torch.full_like(clips[clip].frame_weights[0], torch.nan)
        ),
        pose_weight=_stack_or_none([clip.pose_weight for clip in clips], lambda clip: torch.ones_like(clips[clip].frame_weights[:, 0])),
    )
    truths = [clip.truth for clip in clips if clip.truth is not None]
    pseudo_depth = _stack_or_none(
        [clip.pseudo_depth for clip in clips], lambda clip: clips[clip].frame_weights.new_zeros(clips[clip].images.shape[:3])
    )
    tracks3d_world = torch.stack([truth.tracks3d_world for truth in truths]) if truths else None
    queries = _stack_queries(clips)
    return ClipBatch(
        keys=tuple(clip.key for clip in clips),
        datasets=tuple(clip.dataset for clip in clips),
        licenses=tuple(clip.license for clip in clips),
        images=_to_unit_range(torch.stack([clip.images for clip in clips]).movedim(-1, 2)),
        query_points=tracks_px[:, 0].clone() if queries is None else _positions_at(tracks_px, queries.frames),
        observations=observations,
        is_metric=torch.stack([clip.is_metric for clip in clips]),
        geometry=_geometry(truths) if truths else None,
        tracks3d_world=tracks3d_world,
        track_valid=None if tracks3d_world is None else tracks3d_world.isfinite().all(-1),
        visibility=torch.stack([truth.visibility for truth in truths]) if truths else None,
        pseudo_depth=pseudo_depth,
        pseudo_depth_is_inverse=_stack_or_none(
            [clip.pseudo_depth_is_inverse for clip in clips], lambda clip: torch.zeros_like(clips[clip].is_metric)
        ),
        queries=queries,
    )


def _stack_queries(clips: Sequence[PreparedClip]) -> TrackQueries | None:
    """The queries of all clips; None where they are asked in frame 0."""
    found = [clip.queries for clip in clips if clip.queries is not None]
    if not found:
        return None
    return TrackQueries(**{field.name: torch.stack([getattr(each, field.name) for each in found]) for field in fields(TrackQueries)})


def _positions_at(tracks_px: Tensor, frames: Tensor) -> Tensor:
    """Positions "B N 2" of tracks "B T N 2", each in a frame of its own, int64 "B N"."""
    return tracks_px.gather(1, frames[:, None, :, None].expand(-1, 1, -1, 2))[:, 0]


def unproject(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Points of all pixels in their camera, z K^-1 (x, y, 1), "... H W 3"; the origin where depth is 0.

    Args:
        depth: "... H W", along z. intrinsics: "... 3 3", pixels; integers are centres.
    """
    height, width = depth.shape[-2:]
    y, x = (torch.arange(length, device=depth.device, dtype=depth.dtype) for length in (height, width))
    rows, columns = y[:, None], x[None, :]
    fx, skew, cx = (intrinsics[..., 0, entry, None, None] for entry in range(3))
    fy, cy = intrinsics[..., 1, 1, None, None], intrinsics[..., 1, 2, None, None]
    ray_y = (rows - cy) / fy
    ray_x = (columns - cx - skew * ray_y) / fx
    return torch.stack([ray_x * depth, (ray_y * depth).expand_as(depth), depth], -1)


def _to_unit_range(images: Tensor) -> Tensor:
    """uint8 as float32 in [0, 1], contiguous. By a tensor, since some devices multiply by 1 / 255 instead, and round otherwise."""
    return images.contiguous().float().div_(torch.full((), 255.0, device=images.device))


def _geometry(truths: Sequence[PreparedTruth]) -> GeometryTruth:
    depth, intrinsics = torch.stack([truth.depth for truth in truths]), torch.stack([truth.intrinsics for truth in truths])
    return GeometryTruth(
        local_points=unproject(depth, intrinsics),
        camera_to_world=torch.stack([truth.camera_to_world for truth in truths]),
        valid=depth > 0,
        pose_valid=torch.stack([truth.pose_valid for truth in truths]),
        sky_mask=_stack_or_none([truth.sky_mask for truth in truths], lambda clip: torch.zeros_like(truths[clip].depth, dtype=torch.bool)),
        with_normals=torch.stack([truth.with_normals for truth in truths]),
        intrinsics=intrinsics,
    )


def _stack_or_none(tensors: Sequence[Tensor | None], missing: Callable[[int], Tensor]) -> Tensor | None:
    """The tensors of all clips, those that are None as `missing` makes them; None where all are."""
    if all(tensor is None for tensor in tensors):
        return None
    return torch.stack([missing(clip) if tensor is None else tensor for clip, tensor in enumerate(tensors)])
