"""The losses, pure functions one family per file: TrajVG's coupling (L_cons, L_cam, L_self), π³'s supervised losses, the tracker's.

A typical labelled batch: `normalise_truth`, `align_geometry`, `geometry_terms`; `normalise_tracks`, then `labelled_coupling`,
`track_loss` and `visibility_loss` with the scale of the alignment. A batch of pseudo tracks: `pseudo_track_weights`,
`self_supervised_coupling`.
"""

from trainer.losses.alignment import AlignedGeometry, align_geometry
from trainer.losses.coupling import CouplingTerms, labelled_coupling, self_supervised_coupling
from trainer.losses.geometry_terms import GeometryTerms, geometry_terms
from trainer.losses.normalisation import normalise_truth
from trainer.losses.normalised_tracks import normalise_tracks, static_tau
from trainer.losses.pseudo_weights import pseudo_track_weights
from trainer.losses.records import ClipGeometry, GeometryTruth, NormalisedTracks, NormalisedTruth, TrackObservations
from trainer.losses.settings import CouplingSettings, CouplingWeights, GateSettings, GeometrySettings, GeometryWeights, TrackingSettings
from trainer.losses.tracking import track_loss, visibility_loss

__all__ = [
    "AlignedGeometry",
    "ClipGeometry",
    "CouplingSettings",
    "CouplingTerms",
    "CouplingWeights",
    "GateSettings",
    "GeometrySettings",
    "GeometryTerms",
    "GeometryTruth",
    "GeometryWeights",
    "NormalisedTruth",
    "TrackObservations",
    "NormalisedTracks",
    "TrackingSettings",
    "align_geometry",
    "geometry_terms",
    "labelled_coupling",
    "normalise_truth",
    "pseudo_track_weights",
    "self_supervised_coupling",
    "static_tau",
    "track_loss",
    "normalise_tracks",
    "visibility_loss",
]
