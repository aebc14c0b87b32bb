"""Losses that several families share: pure functions of B clips, each a number per clip.

A labelled batch: `compare_geometry`, then `geometry_losses`, π³'s. What is one system's own lies in its family.
"""

from trainer.losses.alignment import AlignedGeometry, align_geometry, normalise_truth
from trainer.losses.clip_losses import ClipLosses, LabelledGeometry, LossTerm, compare_geometry, geometry_losses, predicted_geometry
from trainer.losses.geometry_terms import GeometryTerms, geometry_terms
from trainer.losses.records import ClipGeometry, GeometryTruth, NormalisedTruth, TrackObservations
from trainer.losses.settings import GeometrySettings, GeometryWeights

__all__ = [
    "AlignedGeometry",
    "ClipGeometry",
    "ClipLosses",
    "GeometrySettings",
    "GeometryTerms",
    "GeometryTruth",
    "GeometryWeights",
    "LabelledGeometry",
    "LossTerm",
    "NormalisedTruth",
    "TrackObservations",
    "align_geometry",
    "compare_geometry",
    "geometry_losses",
    "geometry_terms",
    "normalise_truth",
    "predicted_geometry",
]
