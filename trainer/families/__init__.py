"""Model families, one per published system, behind one protocol."""

from trainer.families.objective import ClipShares, Objective, StepLosses
from trainer.families.protocol import Family, InferenceDefaults, LossSettings
from trainer.families.registry import check_predicts, family_of

__all__ = ["ClipShares", "Family", "InferenceDefaults", "LossSettings", "Objective", "StepLosses", "check_predicts", "family_of"]
