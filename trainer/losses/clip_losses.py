"""Losses of B clips, term by term, and π³'s supervised losses among them."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from networks.pi3 import ModelOutput
from trainer.losses.alignment import AlignedGeometry, align_geometry, normalise_truth
from trainer.losses.geometry_terms import geometry_terms
from trainer.losses.records import ClipGeometry, GeometryTruth, NormalisedTruth
from trainer.losses.settings import GeometrySettings, GeometryWeights, weights_of


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LossTerm:
    """One loss of B clips."""

    name: str
    weight: float  # 0: only logged
    values: Tensor  # "B", unweighted


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipLosses:
    """All losses of B clips; a term of weight 0 is no part of the total, nor of its gradient, whatever it is."""

    keys: tuple[str, ...]
    terms: tuple[LossTerm, ...]

    def total(self) -> Tensor:
        """The weighted sum, "B"."""
        return torch.stack([term.weight * term.values for term in self.terms if term.weight > 0]).sum(0)

    def detached(self) -> "ClipLosses":
        """The same numbers, which keep no graph alive."""
        return replace(self, terms=tuple(replace(term, values=term.values.detach()) for term in self.terms))

    def non_finite_clips(self) -> tuple[str, ...]:
        """Clips whose total is NaN or infinite, each with the terms that are."""
        finite = torch.stack([term.values.detach().isfinite() for term in self.terms if term.weight > 0]).tolist()
        names = [term.name for term in self.terms if term.weight > 0]
        by_clip = [[name for name, row in zip(names, finite, strict=True) if not row[clip]] for clip in range(len(self.keys))]
        return tuple(f"{key} ({', '.join(found)})" for key, found in zip(self.keys, by_clip, strict=True) if found)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledGeometry:
    """A network's geometry of labelled clips, beside the truth on one scale."""

    prediction: ClipGeometry
    normalised: NormalisedTruth
    aligned: AlignedGeometry


def predicted_geometry(output: ModelOutput) -> ClipGeometry:
    """The part of an output that the losses compare."""
    tracks = None if output.traj3d_camera is None else output.traj3d_camera[-1]
    return ClipGeometry(local_points=output.local_points, camera_to_world=output.camera_poses, tracks=tracks)


def compare_geometry(output: ModelOutput, truth: GeometryTruth, settings: GeometrySettings) -> LabelledGeometry:
    """Normalise truth and prediction, and scale the prediction to the truth."""
    prediction, normalised = predicted_geometry(output), normalise_truth(truth)
    return LabelledGeometry(prediction=prediction, normalised=normalised, aligned=align_geometry(prediction, normalised, settings))


def geometry_losses(
    output: ModelOutput, compared: LabelledGeometry, weights: GeometryWeights, settings: GeometrySettings
) -> tuple[LossTerm, ...]:
    """π³'s losses under names such as "geometry/points"; translation and rotation, the parts of the camera loss, for logs."""
    logits = None
    if weights.confidence > 0:
        assert output.conf is not None, "the family asks the network for what is weighed"
        logits = output.conf[..., 0]
    terms = geometry_terms(compared.aligned, compared.normalised, settings, logits, normals=weights.normals > 0)
    named = [(name, weight, getattr(terms, name)) for name, weight in weights_of(weights).items()]
    named += [("translation", 0.0, terms.translation), ("rotation", 0.0, terms.rotation)]
    return tuple(LossTerm(name=f"geometry/{name}", weight=weight, values=values) for name, weight, values in named if values is not None)
