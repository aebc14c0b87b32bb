"""Iterative 2D trackers (CoTracker3): a supervised stage on clips with true tracks, and the student of pseudo label sets."""

from trainer.families.tracker2d.family import Tracker2dFamily
from trainer.families.tracker2d.settings import Tracker2dLosses

__all__ = ["Tracker2dFamily", "Tracker2dLosses"]
