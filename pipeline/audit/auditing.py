"""Auditing one labelled clip: its tracks are measured and weighed, and the clip is judged by them and by its picture."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.audit.calibration import Calibration
from pipeline.audit.clips.labels import ClipMeasures, TrackEvidence, measure_clip_labels
from pipeline.audit.records import TrackMeasures, TrackWeights
from pipeline.audit.stored.clip_audit import TrackAudit
from pipeline.audit.tracks.cycle import CycleMeasures
from pipeline.audit.tracks.inputs import ClipPictures, inside_image
from pipeline.audit.tracks.measure import all_measures
from pipeline.audit.tracks.motion import median_speed
from pipeline.audit.tracks.picture_measures import PictureMeasures, measure_pictures
from pipeline.audit.tracks.visibility import visibility_measures
from pipeline.audit.weights import track_weights
from pipeline.records import ClipFrames, TrackLabels

BackwardTracker = Callable[[ClipFrames, TrackLabels], TrackLabels]


def track_evidence(measures: TrackMeasures, weights: TrackWeights) -> TrackEvidence:
    """The six values of each track that count for its clip. Without a calibration nothing is said of bad tracks."""
    return TrackEvidence(
        bad_probability=weights.bad_probability,
        cycle_px=measures.fb_cycle,
        flicker=measures.flicker,
        collapsed=weights.collapsed.astype(np.float32),
        stuck=measures.static_stick,
        static_score=measures.static_score,
    )


"""(clip, its labels) -> labels of the reversed clip for `cycle_queries` of them, by the labeler that made them."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AuditedTracks:
    """Findings of the audit in the labels of one clip."""

    labels: TrackLabels  # hidden where they were called visible outside the image
    measures: TrackMeasures
    weights: TrackWeights


def hide_outside(labels: TrackLabels, *, height: int, width: int) -> TrackLabels:
    """The labels, hidden where a track is visible outside the image: such a point cannot be seen. Positions stay."""
    seen = labels.visibility & inside_image(labels.tracks_px, height=height, width=width)
    return labels if np.array_equal(seen, labels.visibility) else replace(labels, visibility=seen)


def measure_clip_pictures(labels: TrackLabels, pictures: ClipPictures) -> PictureMeasures:
    """Measures of a clip's tracks by its pictures, where the tracks are inside. Raises as `measure_pictures` does."""
    _, height, width = pictures.shape
    return measure_pictures(hide_outside(labels, height=height, width=width), pictures)


def weigh_tracks(
    labels: TrackLabels,
    by_pictures: PictureMeasures,
    *,
    calibration: Calibration | None = None,
    cycle: CycleMeasures | None = None,
    other: TrackLabels | None = None,
) -> AuditedTracks:
    """Measure and weigh the tracks of a clip. Points that are visible outside the image are counted (`oof`), then taken for hidden.

    Args:
        by_pictures: from `measure_clip_pictures` for these labels.
        calibration: of the labeler that made them; without one, the fallback weights.
        cycle, other: as `all_measures` takes them.
    Raises: DataError if the arguments do not belong to one clip.
    """
    height, width = by_pictures.height, by_pictures.width
    clean = hide_outside(labels, height=height, width=width)
    measures = all_measures(clean, by_pictures, cycle=cycle, other=other)
    if clean is not labels:
        measures = replace(measures, oof=visibility_measures(labels, height=height, width=width).oof)
    return AuditedTracks(labels=clean, measures=measures, weights=track_weights(measures, calibration))


def clip_measures(audited: AuditedTracks, *, height: int, width: int) -> ClipMeasures:
    """Measures of a clip by its tracks, of `height` x `width` pixels."""
    return measure_clip_labels(audited.labels, height, width, tracks=track_evidence(audited.measures, audited.weights))


def stored_tracks(audited: AuditedTracks, *, height: int, width: int) -> TrackAudit:
    """Stored measures of the tracks of a clip of `height` x `width` pixels."""
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
