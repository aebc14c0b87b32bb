"""The losses of clips that nobody knows the truth of."""

from networks.pi3 import ModelOutput
from trainer.data import ClipBatch
from trainer.losses import CouplingWeights, self_supervised_coupling
from trainer.objective.clip_losses import ClipLosses, coupling_terms
from trainer.objective.labelled import predicted_geometry
from trainer.objective.settings import LossSettings


def pseudo_losses(output: ModelOutput, batch: ClipBatch, weights: CouplingWeights, settings: LossSettings) -> ClipLosses:
    """L_self."""
    terms = self_supervised_coupling(predicted_geometry(output), batch.observations, settings.coupling_settings)
    return ClipLosses(keys=batch.keys, terms=coupling_terms(terms, weights, prefix="self", factor=settings.self_supervised_weight))
