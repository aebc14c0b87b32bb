"""How good a model is on clips with truth: camera poses, depth of videos, point maps, and tracks in space."""

from trainer.evaluation.clip_scores import ClipScores, lacks_truth, measure_clip
from trainer.evaluation.measures import MEASURES, PROTOCOLS, Measure, Protocol, summarise
from trainer.evaluation.paired import PairedDifference, paired_difference
from trainer.evaluation.queries import choose_tracks
from trainer.evaluation.settings import PROTOCOL_NAMES, EvaluationSettings

__all__ = [
    "MEASURES",
    "PROTOCOLS",
    "PROTOCOL_NAMES",
    "ClipScores",
    "EvaluationSettings",
    "Measure",
    "PairedDifference",
    "Protocol",
    "choose_tracks",
    "lacks_truth",
    "measure_clip",
    "paired_difference",
    "summarise",
]
