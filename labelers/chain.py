"""Points followed from frame to frame, in both directions of time, with a forward-backward check of every step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from labelers.options import check_number
from pipeline.records import TrackLabels

STRAIN_LIMIT = 4.0  # a step cannot strain a track more than this: one lost step says as much as a wildly wrong one
STRAIN_SCALE = 0.5  # see confidence_of


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Step:
    """M points taken to a neighbouring frame, and back again by the motion measured the other way."""

    moved_px: np.ndarray  # float32 "M 2": in the frame stepped to
    returned_px: np.ndarray  # float32 "M 2": in the frame started from; the starting points, if all is well
    found: np.ndarray  # bool "M": False where no motion could be measured at all


class MotionField(Protocol):
    """The motion between neighbouring frames of one clip, in pixels (integer = pixel centre)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        ...

    def step(self, start: int, end: int, points: np.ndarray) -> Step:
        """Take points "M 2" (M >= 1; they may lie outside the image) from frame `start` to frame `end` = start + 1 or start - 1."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundTripRule:
    """A step fails when going there and back misses its start by more than `px` + `share` of the step's length."""

    px: float = 1.0
    share: float = 0.05

    def __post_init__(self) -> None:
        check_number("round_trip_px", self.px, minimum=1e-3)
        check_number("round_trip_share", self.share, minimum=0.0, maximum=1.0)

    def describe(self) -> str:
        """The rule in words, for provenance."""
        return (
            f"visible from the query, in both directions of time, until the first step that misses its start by more than {self.px:g} px"
            f" + {100 * self.share:g} % of its length when taken forth and back, or that leaves the image"
        )


def follow(field: MotionField, queries: np.ndarray, rule: RoundTripRule) -> TrackLabels:
    """Chain the steps of a motion field from each query to both ends of the clip.

    A step that passes the check is set to the middle of the two motions measured: half of what the way back misses is taken off.
    After the first failure a track is invisible for good in that direction of time, and its position goes on along the
    motion found where it is, as a prediction, held within one image size of the image.

    Args:
        queries: float32 "N 3", (t, x, y).
    Returns:
        Labels with `confidence` as `confidence_of` defines it.
    """
    num_frames, num_tracks = field.shape[0], len(queries)
    tracks = np.zeros((num_frames, num_tracks, 2), np.float32)
    visible = np.zeros((num_frames, num_tracks), bool)
    strain = np.zeros((num_frames, num_tracks), np.float32)
    query_frame = queries[:, 0].astype(np.int64)
    columns = np.arange(num_tracks)
    tracks[query_frame, columns] = queries[:, 1:]
    visible[query_frame, columns] = True
    for start, end in _neighbours(num_frames):
        under_way = np.flatnonzero(query_frame <= start if start < end else query_frame >= start)
        if not len(under_way):
            continue
        points = tracks[start, under_way]
        checked = _checked(field.step(start, end, points), points, rule, field.shape)
        tracks[end, under_way] = checked.position_px
        visible[end, under_way] = visible[start, under_way] & checked.passed
        strain[end, under_way] = strain[start, under_way] + np.square(checked.strain)
    return TrackLabels(queries=queries, tracks_px=tracks, visibility=visible, confidence=confidence_of(strain))


def _neighbours(num_frames: int) -> Iterator[tuple[int, int]]:
    """Pairs of neighbouring frames: through the clip forwards, then backwards."""
    yield from ((t, t + 1) for t in range(num_frames - 1))
    yield from ((t, t - 1) for t in range(num_frames - 1, 0, -1))


def confidence_of(strain: np.ndarray) -> np.ndarray:
    """Confidence in a position from the strain gathered on the way from the query: float32 in [0, 1], 1 at the query.

    Each step strains a track by s = miss / allowed, the round trip's miss over what the rule allows, at most STRAIN_LIMIT.
    The misses of a chain add up like a random walk, so it is their squares that are summed (`strain`), and

        confidence = exp(-strain / STRAIN_SCALE).

    The scale is set so that the number is about the share of positions that are right (visible in truth, within 4 px of it);
    measured on synthetic plane-layer clips with dis-flow: 0.97 right where strain < 0.1, 0.68 at 0.2, 0.34 at 0.45, 0.07 at 1.2.
    """
    return np.exp(-strain / STRAIN_SCALE).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _CheckedStep:
    position_px: np.ndarray
    passed: np.ndarray
    strain: np.ndarray


def _checked(step: Step, points: np.ndarray, rule: RoundTripRule, shape: tuple[int, int, int]) -> _CheckedStep:
    size = np.array(shape[:0:-1], np.float32)  # (W, H)
    miss = step.returned_px - points
    missed_px = np.linalg.norm(miss, axis=1)
    allowed_px = rule.px + rule.share * np.linalg.norm(step.moved_px - points, axis=1)
    agrees = step.found & (missed_px <= allowed_px)
    position = np.where(agrees[:, None], step.moved_px - miss / 2, step.moved_px)
    inside = ((position >= -0.5) & (position <= size - 0.5)).all(axis=1)
    passed = agrees & inside
    strain = np.where(step.found & inside, np.minimum(missed_px / allowed_px, STRAIN_LIMIT), STRAIN_LIMIT)
    return _CheckedStep(position_px=np.clip(position, -size, 2 * size), passed=passed, strain=strain)
