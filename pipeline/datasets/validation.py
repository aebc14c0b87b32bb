"""Checks that every converted clip must pass: its arrays against each other, and against other readings, so that a mistake is named.

A check measures one figure and compares it with a bound. An array that a clip lacks is not checked. Where a figure is beyond
its bound, the usual wrong readings of a convention are tried, and the one that mends it is the suspect.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.datasets.check_depth import depth_at_tracks, depth_between_views, hidden_at_surface, motion_unexplained, subpixel_offset
from pipeline.datasets.check_tracks import appearance_excess, projection_error, rotation_error, static_in_inverse, static_wander
from pipeline.datasets.evidence import Evidence, Measurement, evidence_of
from pipeline.datasets.projection import camera_from_world, distance_to_depth
from pipeline.records.truth import TruthClip

_OPENGL = np.diag([1.0, -1, -1, 1])
_FAR_BETTER = 4.0  # a reading is the suspect if it divides the figure by this, though the result is still beyond the bound


@dataclass(frozen=True, slots=True, eq=False)
class ConventionReading:
    """The evidence as it would be if a convention had been taken the other way."""

    name: str  # of the mistake that it would undo
    evidence: Evidence


def other_camera_readings(evidence: Evidence) -> Iterator[ConventionReading]:
    """Poses the other way round, and poses of a camera that looks along -z (OpenGL, Blender)."""
    poses = evidence.camera_to_world
    if poses is not None:
        yield ConventionReading("w2c_for_c2w", _with_poses(evidence, np.linalg.inv(poses)))
        yield ConventionReading("opengl_axes", _with_poses(evidence, poses @ _OPENGL))


def other_pixel_readings(evidence: Evidence) -> Iterator[ConventionReading]:
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
            yield ConventionReading(name, replace(evidence, tracks2d=changed))


def other_depth_readings(evidence: Evidence) -> Iterator[ConventionReading]:
    """Depth that is the distance from the camera's centre, or of another unit."""
    if evidence.depth is None:
        return
    if evidence.intrinsics is not None:
        yield ConventionReading("distance_for_depth", replace(evidence, depth=distance_to_depth(evidence.depth, evidence.intrinsics)))
    for factor in (1000.0, 100.0, 10.0, 0.1, 0.01, 0.001):
        yield ConventionReading("depth_unit", replace(evidence, depth=evidence.depth * factor))


def other_visibility_reading(evidence: Evidence) -> Iterator[ConventionReading]:
    """Visible for hidden, and hidden for visible."""
    if evidence.seen is not None:
        yield ConventionReading("visibility_inverted", replace(evidence, seen=evidence.hidden, hidden=evidence.seen))


OtherReadings = Callable[[Evidence], Iterator[ConventionReading]]


def _with_poses(evidence: Evidence, poses: np.ndarray) -> Evidence:
    """Other poses; where the source gives world points, those of the cameras follow."""
    points = evidence.points
    if evidence.points_world is not None:
        points = camera_from_world(evidence.points_world, poses)
    return replace(evidence, camera_to_world=poses, points=points)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One check of one clip."""

    name: str
    figure: float
    bound: float  # the figure passes up to here
    samples: int  # measurements behind the figure
    suspect: str | None = None  # the wrong convention that would explain a failure

    @property
    def passed(self) -> bool:
        """Whether the figure is within its bound."""
        return self.figure <= self.bound

    @property
    def finding(self) -> str:
        """Name of a failure: the suspected convention, or the check itself."""
        return self.suspect or self.name

    def __str__(self) -> str:
        why = f", as {self.suspect} would explain" if self.suspect else ""
        return f"{self.finding}: {self.name} is {self.figure:.4g}, expected at most {self.bound:g}{why}"


@dataclass(frozen=True, slots=True)
class _Rule:
    measure: Callable[[Evidence], Measurement | None]
    bound: float
    readings: tuple[OtherReadings, ...] = ()
    blame: str | None = None  # the suspect where the measure itself is about one mistake


_RULES = {
    # largest entry of R R' - I, and 2 for a mirror
    "rotation": _Rule(rotation_error, 1e-3),
    # px, median: tracks3d projected, against tracks2d
    "projection": _Rule(projection_error, 0.3, (other_camera_readings, other_pixel_readings)),
    # share, median: depth at visible tracks, against the z of tracks3d
    "depth_at_tracks": _Rule(depth_at_tracks, 0.02, (other_visibility_reading, other_depth_readings)),
    # by how much more often hidden points lie on the seen surface than visible ones do
    "visibility": _Rule(hidden_at_surface, 0.1, (other_visibility_reading,)),
    # px: shift of the tracks that fits the depth far better than none
    "depth_alignment": _Rule(subpixel_offset, 0.4, blame="half_pixel_shift"),
    # share of the distance, median: how far points of static surfaces move in the world
    "static_world": _Rule(static_wander, 0.01),
    # share of tracks: how many more stand still with poses taken the other way round
    "static_share": _Rule(static_in_inverse, 0.2, blame="w2c_for_c2w"),
    # share, median: depth carried into another frame by the poses, against the depth there
    "depth_between_views": _Rule(depth_between_views, 0.05, (other_camera_readings, other_depth_readings)),
    # that median, as a share of what a camera that stands still would leave
    "camera_motion": _Rule(motion_unexplained, 0.3, (other_camera_readings, other_depth_readings)),
    # by how much more visible points change their looks than hidden ones do (only where nothing better is known)
    "appearance": _Rule(appearance_excess, 0.25, blame="visibility_inverted"),
}


def check_truth(truth: TruthClip) -> tuple[Check, ...]:
    """Measure all that a clip gives grounds for. Positions and poses as its reader gives them, not yet anchored."""
    evidence = evidence_of(truth)
    return tuple(check for name, rule in _RULES.items() if (check := _check(name, rule, evidence)) is not None)


def failures(checks: Sequence[Check], accept: Sequence[str] = ()) -> list[Check]:
    """The checks that fail, save those whose finding (or name) was accepted beforehand."""
    return [check for check in checks if not check.passed and check.finding not in accept and check.name not in accept]


def finding_names() -> tuple[str, ...]:
    """Names that a finding can have, for `--accept`."""
    suspects = ("w2c_for_c2w", "opengl_axes", "half_pixel_shift", "mirrored_x", "swapped_xy", "distance_for_depth", "depth_unit")
    return (*_RULES, *suspects, "visibility_inverted")


def _check(name: str, rule: _Rule, evidence: Evidence) -> Check | None:
    measured = rule.measure(evidence)
    if measured is None:
        return None
    suspect = None if measured.figure <= rule.bound else rule.blame or _suspect(rule, evidence, measured)
    return Check(name=name, figure=measured.figure, bound=rule.bound, samples=measured.samples, suspect=suspect)


def _suspect(rule: _Rule, evidence: Evidence, measured: Measurement) -> str | None:
    """The reading that mends the figure best, if one does."""
    best = min(_remeasured(rule, evidence, measured), default=None)
    return None if best is None else best[1]


def _remeasured(rule: _Rule, evidence: Evidence, measured: Measurement) -> Iterator[tuple[float, str]]:
    for readings in rule.readings:
        for reading in readings(evidence):
            again = rule.measure(reading.evidence)
            if again is not None and again.figure <= max(rule.bound, measured.figure / _FAR_BETTER) and np.isfinite(again.figure):
                yield again.figure, reading.name
