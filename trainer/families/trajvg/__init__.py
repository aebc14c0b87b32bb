"""TrajVG: π³'s geometry and a 3D tracker, coupled to each other and, by pseudo tracks, to videos without labels."""

from trainer.families.trajvg.family import TrajVGFamily
from trainer.families.trajvg.settings import (
    CouplingSettings,
    CouplingWeights,
    GateSettings,
    TrackingSettings,
    TrackingWeights,
    TrajVGLosses,
)

__all__ = ["CouplingSettings", "CouplingWeights", "GateSettings", "TrackingSettings", "TrackingWeights", "TrajVGFamily", "TrajVGLosses"]
