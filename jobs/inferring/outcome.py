"""The outcome of an inference, and the document that says what made its files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

import numpy as np

from jobs.inferring.frames import InputFrames
from jobs.loading_models import CheckpointInfo
from pipeline.records.dense_tracks import DenseTracks
from pipeline.shards.dataset import code_version
from trainer.inference import Reconstruction
from trainer.inference.joining import Joint


@dataclass(frozen=True, kw_only=True, slots=True)
class DenseSummary:
    """Dense tracks in numbers."""

    mode: str  # chained, or reference
    num_tracks: int
    num_positions: int
    num_whole: int  # tracks from the first frame to the last
    median_length: float  # frames
    seen_share: float  # of the positions

    @classmethod
    def of(cls, tracks: DenseTracks, mode: str) -> "DenseSummary":
        """Count."""
        return cls(
            mode=mode,
            num_tracks=tracks.num_tracks,
            num_positions=len(tracks.pixels),
            num_whole=int((tracks.lengths == tracks.num_frames).sum()),
            median_length=float(np.median(tracks.lengths)) if tracks.num_tracks else 0.0,
            seen_share=float(tracks.visibility.mean()) if len(tracks.pixels) else 0.0,
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Made:
    """What made the files."""

    given: InputFrames
    checkpoint: CheckpointInfo
    reconstruction: CheckpointInfo | None  # of points and cameras; None: the checkpoint's own
    device: str
    precision: str
    tracks: bool  # whether the model follows points
    settings: Mapping[str, object]  # of the tracks, as they were resolved, and of the cloud


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Inference:
    """The outcome."""

    made: Made
    size: tuple[int, int]  # (H, W) of the frames as the model saw them
    num_frames: int
    joints: tuple[Joint, ...]  # one fewer than windows
    num_tracks: int
    num_inside: int  # tracks that the picture can show
    seen_share: float  # of the tracks' points
    num_points: int  # in the cloud
    cameras_not_found: tuple[int, ...] | None  # frames; None for a model that predicts its cameras
    focal_px: float | None  # median over the frames, of the cameras fitted to the points; None if none fits
    dense: DenseSummary | None  # Track4World's tracks
    written: tuple[str, ...]  # names in the folder

    @property
    def num_windows(self) -> int:
        """Windows that were joined."""
        return len(self.joints) + 1

    @classmethod
    def of(
        cls,
        whole: Reconstruction,
        made: Made,
        *,
        written: tuple[str, ...],
        joints: tuple[Joint, ...] = (),
        dense: DenseSummary | None = None,
    ) -> "Inference":
        """Gather it from a reconstruction before that is closed."""
        cameras = whole.intrinsics
        return cls(
            made=made,
            size=whole.size,
            num_frames=whole.num_frames,
            joints=joints,
            num_tracks=whole.num_tracks,
            num_inside=whole.num_inside,
            seen_share=whole.seen_share,
            num_points=whole.num_points,
            cameras_not_found=None if whole.camera_found is None else tuple(np.flatnonzero(~whole.camera_found).tolist()),
            focal_px=None if cameras is None else float(np.median(cameras[:, 0, 0])),
            dense=dense,
            written=written,
        )


def inference_document(done: Inference) -> dict[str, object]:
    """Provenance of the files, in JSON types; no clock time, no path of this machine."""
    made = done.made
    trained_on = made.checkpoint.trained_on
    return {
        "source": PurePosixPath(made.given.source.rstrip("/")).name,
        "frames": {
            "count": done.num_frames,
            "size": list(done.size),
            "stored_size": list(made.given.stored_size),
            **asdict(made.given.choice),
        },
        "joints": [_joint_document(joint) for joint in done.joints],
        "checkpoint": made.checkpoint.document(),
        **({} if made.reconstruction is None else {"reconstruction": made.reconstruction.document()}),
        "trained_on": None if trained_on is None else asdict(trained_on),
        "settings": dict(made.settings),
        "precision": made.precision,
        "fitted_focal_px": None if done.focal_px is None else round(done.focal_px, 3),
        **({} if done.cameras_not_found is None else {"cameras_not_found": list(done.cameras_not_found)}),
        "num_tracks": done.num_tracks,
        "num_tracks_inside": done.num_inside,
        **({} if done.dense is None else {"dense_tracks": asdict(done.dense)}),
        "conventions": {
            "extrinsics": "camera to world, OpenCV axes",
            "lengths": "the model's own unit",
            "pixels": "integer = pixel centre, of the resized frames",
        },
        "code_version": code_version(),
    }


def _joint_document(joint: Joint) -> dict[str, object]:
    """Where a window was joined, and how well; errors are root mean squares."""
    return {
        "first_frame": joint.first,
        "num_frames": joint.num_frames,
        "scale": round(joint.similarity.scale, 6),
        "error_of_depth": round(joint.error, 6),
        "points_that_count": round(joint.inliers, 4),
        "cameras_turn_deg": round(joint.turn_deg, 4),
        "cameras_shift_of_depth": round(joint.shift, 6),
    }
