"""Measures and weights of the tracks of one clip, its pictures at hand."""

from typing import Any

from pipeline.audit.auditing import AuditedTracks, look_along, weigh_tracks
from pipeline.audit.records import TrackMeasures
from pipeline.audit.tracks.frame_pass import ClipPictures
from pipeline.audit.tracks.looks import measure_looks
from pipeline.audit.tracks.measure import all_measures
from pipeline.records import TrackLabels


def measure_tracks(labels: TrackLabels, pictures: ClipPictures, **others: Any) -> TrackMeasures:
    """Measures of the tracks; `others`: cycle and other, as `all_measures` takes them."""
    return all_measures(labels, measure_looks(labels, pictures), **others)


def audit_tracks(labels: TrackLabels, pictures: ClipPictures) -> AuditedTracks:
    """Measures and weights of the cleaned tracks."""
    return weigh_tracks(labels, look_along(labels, pictures))
