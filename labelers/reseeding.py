"""New queries where few of a clip's tracks are still visible."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from labelers.options import check_count, check_number
from labelers.queries import corner_points, generator_for
from pipeline.records import ClipFrames, TrackLabels

Track = Callable[[np.ndarray], TrackLabels]  # labels float32 "M 3" queries of one clip, reusing what was computed for it


@dataclass(frozen=True, kw_only=True, slots=True)
class ReseedingRule:
    """On every `every`-th frame: where fewer than `below` x the clip's queries are visible, new ones are added up to their number.

    The new queries prefer texture and keep away from visible tracks. A clip never gets more than `limit` x its queries.
    """

    below: float = 0.0  # 0: off
    every: int = 8
    limit: float = 4.0

    def __post_init__(self) -> None:
        check_number("reseed_below", self.below, minimum=0.0, maximum=1.0)
        check_count("reseed_every", self.every, minimum=1)
        check_number("reseed_limit", self.limit, minimum=1.0)


def reseed(labels: TrackLabels, rule: ReseedingRule, *, track: Track, grey: np.ndarray | Mapping[int, np.ndarray], key: str) -> TrackLabels:
    """Apply the rule from the first frame to the last; new tracks run in both directions and count from then on.

    Args:
        labels: of the clip's own queries.
        track: labels new queries of the same clip.
        grey: the clip's frames "H W", uint8, by frame index: all, or those that the rule looks at.
        key: of the clip; decides the draw.
    Returns:
        The given tracks, unchanged and first, then the new ones.
    """
    wanted = len(labels.queries)
    room = int(rule.limit * wanted) - wanted
    if rule.below == 0 or wanted == 0:
        return labels
    for t in range(0, len(labels.visibility), rule.every):
        visible = labels.visibility[t]
        num_visible = int(visible.sum())
        if room <= 0:
            break
        if num_visible >= rule.below * wanted:
            continue
        free = uncovered_pixels(grey[t].shape, labels.tracks_px[t, visible], spacing_px=_spacing(grey[t].shape, wanted))
        points = corner_points(grey[t], min(wanted - num_visible, room), generator_for(key, "reseed", t), allowed=free)
        if len(points):
            queries = np.column_stack([np.full(len(points), t), points]).astype(np.float32)
            labels = _concatenate(labels, track(queries))
            room -= len(points)
    return labels


def uncovered_pixels(shape: tuple[int, ...], points: np.ndarray, *, spacing_px: float) -> np.ndarray:
    """bool "H W": pixels farther than `spacing_px` from every point "M 2"."""
    taken = np.full(shape, 255, np.uint8)
    for x, y in points:
        cv2.circle(taken, (round(float(x)), round(float(y))), max(1, round(spacing_px)), 0, -1)
    return taken > 0


def _spacing(shape: tuple[int, ...], num_points: int) -> float:
    """Half the distance between neighbours when the points lie evenly over the image."""
    return 0.5 * float(np.sqrt(shape[0] * shape[1] / num_points))


def _concatenate(first: TrackLabels, second: TrackLabels) -> TrackLabels:
    def side_by_side(name: str) -> np.ndarray | None:
        parts = [getattr(labels, name) for labels in (first, second)]
        return None if any(part is None for part in parts) else np.concatenate(parts, axis=-1)

    return TrackLabels(
        queries=np.concatenate([first.queries, second.queries]),
        tracks_px=np.concatenate([first.tracks_px, second.tracks_px], axis=1),
        visibility=np.concatenate([first.visibility, second.visibility], axis=1),
        visibility_score=side_by_side("visibility_score"),
        confidence=side_by_side("confidence"),
        cycle_error_px=side_by_side("cycle_error_px"),
    )


def grey_frames(clip: ClipFrames, *, every: int) -> dict[int, np.ndarray]:
    """Every so many frames of a clip in grey, uint8 "H W" by frame index."""
    return {t: cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for t, frame in enumerate(clip.reader) if t % every == 0}
