"""TAPIP3D's input, one `KEY.npz` per clip; in another layout of the video also SpatialTrackerV2's.

`video` uint8 "T H W 3" RGB, or with the layout "tchw" float32 "T 3 H W" in [0, 1] (SpatialTrackerV2 multiplies by 255); `depths`
float32 "T H W" along z, 0 unknown; `intrinsics` float32 "T 3 3", pixels, integer = pixel centre; `extrinsics` float32 "T 4 4", world to
camera; `query_point` float32 "N 4": frame, and place in the world.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.datasets.projection import unproject, world_from_camera
from pipeline.errors import ConfigError
from pipeline.export.format import ExportTracks, Refusal, UsualAnswers, export_tracks
from pipeline.export.pickles import npz_bytes
from pipeline.records import ClipSample

VIDEO_LAYOUTS = ("thwc", "tchw")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tapip3dFormat(UsualAnswers):
    """One .npz per clip; only of clips with depth and cameras."""

    video_layout: str = "thwc"
    min_weight: float = 0.0
    name: str = "tapip3d"
    in_folders: bool = False

    def __post_init__(self) -> None:
        if self.video_layout not in VIDEO_LAYOUTS:
            raise ConfigError(f"--video-layout is {self.video_layout!r}, expected one of {', '.join(VIDEO_LAYOUTS)}")

    @property
    def settings(self) -> dict[str, Any]:
        """Options that change what is written."""
        return {"video_layout": self.video_layout, "min_weight": self.min_weight}

    def place(self, shard: int, key: str) -> str:
        """The clip's file."""
        return f"{key}.npz"

    def refuse(self, sample: ClipSample) -> Refusal | None:
        """Reason against a clip whose points cannot be placed in a world."""
        return refuse_without_geometry(sample)

    def files(self, sample: ClipSample) -> Iterator[tuple[str, bytes]]:
        """The one file."""
        assert sample.depth is not None
        assert sample.intrinsics is not None
        assert sample.camera_to_world is not None
        arrays = {
            "video": sample.frames if self.video_layout == "thwc" else _channels_first(sample.frames),
            "depths": sample.depth,
            "intrinsics": sample.intrinsics,
            "extrinsics": world_to_camera(sample.camera_to_world),
        }
        if sample.tracks2d is not None:
            arrays["query_point"] = query_points(sample, export_tracks(sample, self.min_weight))
        yield "", npz_bytes(arrays)

    def num_tracks(self, sample: ClipSample) -> int:
        """Query points; none where the model is left to choose its own."""
        return 0 if sample.tracks2d is None else len(query_points(sample, export_tracks(sample, self.min_weight)))


def refuse_without_geometry(sample: ClipSample) -> Refusal | None:
    """Reason against a clip without depth, intrinsics and poses of every frame, all in one unit."""
    depth_help = "name a set of metric depth with --labels (jobs/pseudolabel.py), or take a converted or rendered dataset"
    camera_help = "cameras come with converted and rendered datasets, with manifests that name camera files, and with label sets of cameras"
    if sample.depth is None:
        return Refusal(kind="no depth", message=f"it has no depth: {depth_help}")
    if sample.intrinsics is None or sample.camera_to_world is None:
        missing = "intrinsics" if sample.intrinsics is None else "poses"
        return Refusal(kind="no cameras", message=f"it has no {missing}: {camera_help}")
    if sample.pose_valid is not None and not sample.pose_valid.all():
        unknown = int((~sample.pose_valid).sum())
        message = f"the poses of {unknown} of its {len(sample.pose_valid)} frames are unknown: cut clips that leave these out"
        return Refusal(kind="unknown poses", message=message)
    if sample.depth_scale == "inverse":
        return Refusal(kind="inverse depth", message=f"its depth is known up to an affine change of 1 / depth: {depth_help}")
    estimated = "pseudo" in (sample.depth_source, sample.pose_source)
    if estimated and not (sample.depth_scale == "metric" and sample.pose_scale == "metric"):
        cameras = "in metres" if sample.pose_scale == "metric" else "in a unit of their own"
        message = f"its depth is {sample.depth_scale}, its cameras are {cameras}: points need one unit; {depth_help}"
        return Refusal(kind="depth and cameras in different units", message=message)
    return None


def world_to_camera(camera_to_world: np.ndarray) -> np.ndarray:
    """Inverse of rigid poses "T 4 4", float32."""
    return np.linalg.inv(camera_to_world.astype(np.float64)).astype(np.float32)


def query_points(sample: ClipSample, tracks: ExportTracks) -> np.ndarray:
    """Points of the world to be tracked, float32 "N 4": frame t, x, y, z.

    Where true tracks in space are known these are their places in the query frames; else tracks are lifted by the depth at the
    pixel that they fall on, and those without depth there are left out. So are tracks that are not visible in their query frame.
    """
    assert sample.depth is not None
    assert sample.intrinsics is not None
    assert sample.camera_to_world is not None
    t, n = tracks.query_frame, np.arange(len(tracks.query_frame))
    seen = tracks.visible[t, n]
    if sample.tracks3d_world is not None and sample.tracks3d_source != "pseudo":  # those of labels are in a unit of their own
        world = sample.tracks3d_world[t, tracks.chosen].astype(np.float64)
    else:
        pixels = tracks.query_px.astype(np.float64)
        column, row = (np.clip(np.round(pixels[:, axis]), 0, sample.depth.shape[2 - axis] - 1).astype(np.int64) for axis in (0, 1))
        depth = sample.depth[t, row, column]
        camera = unproject(pixels[:, None], depth[:, None], sample.intrinsics[t])  # every query is a frame of its own
        world = world_from_camera(camera, sample.camera_to_world[t])[:, 0]
        seen = seen & (depth > 0)
    return np.concatenate([t[:, None], world], axis=1)[seen].astype(np.float32)


def _channels_first(frames: np.ndarray) -> np.ndarray:
    """Frames uint8 "T H W 3" as float32 "T 3 H W" in [0, 1]."""
    return np.ascontiguousarray(frames.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)
