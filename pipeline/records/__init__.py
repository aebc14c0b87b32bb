"""Typed records that cross the borders between rooms. Frozen, keyword-only, validated when made."""

from pipeline.records.cameras import CameraLabels
from pipeline.records.clip import ClipRecord, ClipSpec
from pipeline.records.frames import ClipFrames, FrameReader, FramesInMemory
from pipeline.records.labels import DepthLabels, FlowLabels, Labels, LabelSet, TrackLabels, Tracks3dLabels
from pipeline.records.sample import ClipSample
from pipeline.records.truth import TrackTruth, TruthClip

__all__ = [
    "CameraLabels",
    "ClipFrames",
    "ClipRecord",
    "ClipSample",
    "ClipSpec",
    "DepthLabels",
    "FlowLabels",
    "FrameReader",
    "FramesInMemory",
    "LabelSet",
    "Labels",
    "TrackLabels",
    "TrackTruth",
    "Tracks3dLabels",
    "TruthClip",
]
