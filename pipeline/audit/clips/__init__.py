"""Measures of whole clips: of the picture alone, and of its labels. Each is a pure function, NaN where it has too little data."""

from pipeline.audit.clips.labels import ClipMeasures, TrackEvidence, measure_clip_labels
from pipeline.audit.clips.small import SmallClip
from pipeline.audit.clips.video import VideoMeasures, frame_rate, measure_video

__all__ = ["ClipMeasures", "SmallClip", "TrackEvidence", "VideoMeasures", "frame_rate", "measure_clip_labels", "measure_video"]
