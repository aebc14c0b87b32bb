"""Other readings of a clip's conventions: if one of them makes a failing check pass, it names the mistake."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.datasets.evidence import Evidence
from pipeline.datasets.projection import camera_from_world, distance_to_depth

_OPENGL = np.diag([1.0, -1, -1, 1])


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The evidence as it would be if a convention had been taken the other way."""

    name: str  # of the mistake that it would undo
    evidence: Evidence


def other_camera_readings(evidence: Evidence) -> Iterator[Reading]:
    """Poses the other way round, and poses of a camera that looks along -z (OpenGL, Blender)."""
    poses = evidence.camera_to_world
    if poses is not None:
        yield Reading("w2c_for_c2w", _with_poses(evidence, np.linalg.inv(poses)))
        yield Reading("opengl_axes", _with_poses(evidence, poses @ _OPENGL))


def other_pixel_readings(evidence: Evidence) -> Iterator[Reading]:
    """Tracks half a pixel off, mirrored, or with x and y exchanged."""
    if evidence.tracks2d is None:
        return
    tracks, width = evidence.tracks2d, evidence.size[1]
    changes: dict[str, list[np.ndarray]] = {
        "half_pixel_shift": [tracks - 0.5, tracks + 0.5],
        "mirrored_x": [np.stack([width - 1 - tracks[..., 0], tracks[..., 1]], -1)],
        "swapped_xy": [tracks[..., ::-1]],
    }
    for name, readings in changes.items():
        for changed in readings:
            yield Reading(name, replace(evidence, tracks2d=changed))


def other_depth_readings(evidence: Evidence) -> Iterator[Reading]:
    """Depth that is the distance from the camera's centre, or of another unit."""
    if evidence.depth is None:
        return
    if evidence.intrinsics is not None:
        yield Reading("distance_for_depth", replace(evidence, depth=distance_to_depth(evidence.depth, evidence.intrinsics)))
    for factor in (1000.0, 100.0, 10.0, 0.1, 0.01, 0.001):
        yield Reading("depth_unit", replace(evidence, depth=evidence.depth * factor))


def other_visibility_reading(evidence: Evidence) -> Iterator[Reading]:
    """Visible for hidden, and hidden for visible."""
    if evidence.seen is not None:
        yield Reading("visibility_inverted", replace(evidence, seen=evidence.hidden, hidden=evidence.seen))


OtherReadings = Callable[[Evidence], Iterator[Reading]]


def _with_poses(evidence: Evidence, poses: np.ndarray) -> Evidence:
    """Other poses; where the source gives world points, those of the cameras follow."""
    points = evidence.points
    if evidence.points_world is not None:
        points = camera_from_world(evidence.points_world, poses)
    return replace(evidence, camera_to_world=poses, points=points)
