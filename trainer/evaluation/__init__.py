"""Evaluation of models and label sets on clips with truth: camera poses, depth of videos, point maps, flow, and tracks in space."""

from trainer.evaluation.clip_scores import ClipScores, lacks_truth, measure_clip
from trainer.evaluation.label_scores import SCORED, measure_labels
from trainer.evaluation.measures import (
    CLIPS_FOR_INTERVAL,
    MEASURES,
    PROTOCOLS,
    Measure,
    PairedDifference,
    Protocol,
    paired_difference,
    summarise,
)
from trainer.evaluation.model_scores import NO_GEOMETRY, NO_TRUTH, measure_model, stream_of_truth
from trainer.evaluation.settings import (
    ALL_PROTOCOLS,
    PROTOCOL_NAMES,
    SINGLE_IMAGES,
    TRACKING,
    WORLD_TRACK_PROTOCOLS,
    EvaluationSettings,
)
from trainer.evaluation.truth_metrics import choose_tracks, known_geometry

__all__ = [
    "ALL_PROTOCOLS",
    "CLIPS_FOR_INTERVAL",
    "MEASURES",
    "NO_GEOMETRY",
    "NO_TRUTH",
    "PROTOCOLS",
    "PROTOCOL_NAMES",
    "SCORED",
    "SINGLE_IMAGES",
    "TRACKING",
    "WORLD_TRACK_PROTOCOLS",
    "ClipScores",
    "EvaluationSettings",
    "Measure",
    "PairedDifference",
    "Protocol",
    "choose_tracks",
    "known_geometry",
    "lacks_truth",
    "measure_clip",
    "measure_labels",
    "measure_model",
    "paired_difference",
    "stream_of_truth",
    "summarise",
]
