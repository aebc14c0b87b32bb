"""Measures and weights of the tracks of one clip, its pictures at hand."""

from typing import Any

from pipeline.audit.auditing import AuditedTracks, measure_clip_pictures, weigh_tracks
from pipeline.audit.records import TrackMeasures
from pipeline.audit.tracks.inputs import ClipPictures
from pipeline.audit.tracks.measure import all_measures
from pipeline.audit.tracks.picture_measures import measure_pictures
from pipeline.records import TrackLabels


def measure_tracks(labels: TrackLabels, pictures: ClipPictures, **others: Any) -> TrackMeasures:
    """Measures of the tracks; `others`: cycle and other, as `all_measures` takes them."""
    return all_measures(labels, measure_pictures(labels, pictures), **others)


def audit_tracks(labels: TrackLabels, pictures: ClipPictures) -> AuditedTracks:
    """Measures and weights of the cleaned tracks."""
    return weigh_tracks(labels, measure_clip_pictures(labels, pictures))
