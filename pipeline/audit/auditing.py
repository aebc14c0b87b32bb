"""Auditing one labelled clip: its tracks are measured and weighed, and the clip is judged by them and by its picture."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.audit.calibration import Calibration
from pipeline.audit.clips.labels import ClipMeasures, measure_clip_labels
from pipeline.audit.evidence import track_evidence
from pipeline.audit.records import TrackMeasures, TrackWeights
from pipeline.audit.stored.clip_audit import TrackAudit
from pipeline.audit.tracks.colour import PointColours, point_colours
from pipeline.audit.tracks.cycle import CycleMeasures
from pipeline.audit.tracks.measure import measure_tracks
from pipeline.audit.tracks.query_frames import inside_image
from pipeline.audit.tracks.speed import median_speed
from pipeline.audit.tracks.visibility import visibility_measures
from pipeline.audit.weights import track_weights
from pipeline.records import ClipFrames, ClipRecord, TrackLabels
from pipeline.video.open import to_rgb
from pipeline.video.reader import VideoData, decode_clip

WayBack = Callable[[ClipFrames, TrackLabels], TrackLabels]
"""(clip, its labels) -> labels of the reversed clip for `cycle_queries` of them, by the labeler that made them."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AuditedTracks:
    """What the audit found in the labels of one clip."""

    labels: TrackLabels  # cleaned: hidden where they were called visible outside the image
    measures: TrackMeasures
    weights: TrackWeights


def read_pictures(data: VideoData, record: ClipRecord, labels: TrackLabels) -> tuple[np.ndarray, PointColours]:
    """All frames of a stored clip in grey, uint8 "T H W", at the stored size, and the colours along its tracks.

    One RGB frame is held at a time. Raises: DataError if the clip does not decode, or the labels are not of its frames.
    """
    grey = np.empty((record.frames, record.height, record.width), np.uint8)

    def frames() -> Iterator[np.ndarray]:
        for index, frame in enumerate(decode_clip(data, record)):
            rgb = to_rgb(frame)
            grey[index] = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
            yield rgb

    colours = point_colours(labels, frames())
    return grey, colours


def cleaned(labels: TrackLabels, *, height: int, width: int) -> TrackLabels:
    """The labels, hidden where a track is visible outside the image: such a point cannot be seen. Positions stay."""
    seen = labels.visibility & inside_image(labels.tracks_px, height=height, width=width)
    return labels if np.array_equal(seen, labels.visibility) else replace(labels, visibility=seen)


def audit_tracks(
    labels: TrackLabels,
    grey: np.ndarray,
    *,
    calibration: Calibration | None = None,
    cycle: CycleMeasures | None = None,
    other: TrackLabels | None = None,
    colours: PointColours | None = None,
) -> AuditedTracks:
    """Measure and weigh the tracks of a clip. Points that are visible outside the image are counted (`oof`), then taken for hidden.

    Args:
        labels: in the pixels of `grey`, uint8 "T H W".
        calibration: of the labeler that made them; without one, the fallback weights.
        cycle, other, colours: as `measure_tracks` takes them.
    Raises: DataError if the arguments do not belong to one clip.
    """
    height, width = grey.shape[1:]
    clean = cleaned(labels, height=height, width=width)
    measures = measure_tracks(clean, grey, cycle=cycle, other=other, colours=colours)
    if clean is not labels:
        measures = replace(measures, oof=visibility_measures(labels, height=height, width=width).oof)
    return AuditedTracks(labels=clean, measures=measures, weights=track_weights(measures, calibration))


def clip_measures(audited: AuditedTracks, *, height: int, width: int) -> ClipMeasures:
    """What the tracks say of their clip of `height` x `width` pixels."""
    return measure_clip_labels(audited.labels, height, width, tracks=track_evidence(audited.measures, audited.weights))


def stored_tracks(audited: AuditedTracks, *, height: int, width: int) -> TrackAudit:
    """What is kept of the tracks of a clip of `height` x `width` pixels."""
    measures, weights = audited.measures, audited.weights
    return TrackAudit(
        queries=audited.labels.queries,
        weight=weights.weight,
        bad_probability=weights.bad_probability,
        contract_error=weights.contract_error,
        collapsed=weights.collapsed,
        speed_px=median_speed(audited.labels, height=height, width=width),
        measures=dict(measures.items()),
        ncc=measures.ncc,
        static_pairs=measures.static_pairs,
    )
