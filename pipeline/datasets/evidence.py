"""Evidence of a clip's conventions: a sample of its tracks and frames in float64, and figures with the number of values behind them."""

from dataclasses import dataclass

import numpy as np

from pipeline.datasets.projection import camera_from_world, inside
from pipeline.records.truth import TruthClip

FEWEST = 20  # a median of fewer values is no evidence
_MOST_FRAMES, _MOST_TRACKS = 16, 512  # checks take medians: more would cost and not tell more


@dataclass(frozen=True, slots=True)
class Measurement:
    """The figure of a check, and the number of values behind it."""

    figure: float
    samples: int


def median_of(values: np.ndarray, *, fewest: int = FEWEST) -> Measurement | None:
    """The median of all values, or None if they are too few."""
    return Measurement(float(np.median(values)), int(values.size)) if values.size >= fewest else None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evidence:
    """T sampled frames and N sampled tracks of one clip, as its reader gives them or under another reading of its conventions."""

    frames: np.ndarray  # uint8 "T H W 3"
    intrinsics: np.ndarray | None  # "T 3 3"
    camera_to_world: np.ndarray | None  # "T 4 4"
    pose_valid: np.ndarray  # bool "T"; False everywhere without cameras
    depth: np.ndarray | None  # float32 "T H W"
    dynamic_mask: np.ndarray | None  # bool "T H W"
    tracks2d: np.ndarray | None  # "T N 2"
    points: np.ndarray | None  # "T N 3", camera of each frame
    points_world: np.ndarray | None  # "T N 3", as the source gives them
    seen: np.ndarray | None  # bool "T N": said to be visible, valid, and in the image
    hidden: np.ndarray | None  # bool "T N": said to be invisible, but valid and in the image
    track_source: str | None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.frames.shape[1], self.frames.shape[2]


def evidence_of(truth: TruthClip) -> Evidence:
    """Frames and tracks drawn evenly from a clip. Poses that are not valid take no part in anything that needs them."""
    at = _evenly(len(truth.frames), _MOST_FRAMES)
    which = _evenly(0 if truth.tracks2d is None else truth.tracks2d.shape[1], _MOST_TRACKS)
    pose_valid = np.zeros(len(at), bool) if truth.pose_valid is None else truth.pose_valid[at]
    seen = hidden = None
    if truth.tracks2d is not None and truth.visibility is not None and truth.track_valid is not None:
        usable = truth.track_valid[at][:, which] & inside(truth.tracks2d[at][:, which], truth.frames.shape[1:3])
        visible = truth.visibility[at][:, which]
        seen, hidden = usable & visible, usable & ~visible
    return Evidence(
        frames=truth.frames[at],
        intrinsics=_float64(truth.intrinsics, at),
        camera_to_world=_float64(truth.camera_to_world, at),
        pose_valid=pose_valid,
        depth=None if truth.depth is None else truth.depth[at],
        dynamic_mask=None if truth.dynamic_mask is None else truth.dynamic_mask[at],
        tracks2d=_float64(truth.tracks2d, at, which),
        points=_points(truth, at, which),
        points_world=_float64(truth.tracks3d_world, at, which),
        seen=seen,
        hidden=hidden,
        track_source=truth.track_source,
    )


def _points(truth: TruthClip, at: np.ndarray, which: np.ndarray) -> np.ndarray | None:
    if truth.tracks3d is not None:
        return _float64(truth.tracks3d, at, which)
    if truth.tracks3d_world is not None and truth.camera_to_world is not None:
        return camera_from_world(truth.tracks3d_world[at][:, which].astype(np.float64), truth.camera_to_world[at])
    return None


def _float64(array: np.ndarray | None, at: np.ndarray, which: np.ndarray | None = None) -> np.ndarray | None:
    if array is None:
        return None
    return (array[at] if which is None else array[at][:, which]).astype(np.float64)


def _evenly(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)) if count else np.zeros(0, np.int64)
