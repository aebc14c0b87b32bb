"""Judging a form of the model without touching the held-out half."""

import numpy as np

from pipeline.audit.calibrating.fit import fit_calibration, predicted
from pipeline.audit.calibrating.samples import TrackSamples
from pipeline.audit.calibrating.terms import TermPlan
from pipeline.errors import ConfigError


def cross_validated(samples: TrackSamples, plan: TermPlan, *, num_folds: int = 8) -> np.ndarray:
    """Probability of being bad of each sample, float64 "M", by a model that saw no track of its clip.

    Clip k belongs to fold k mod `num_folds`. Raises: ConfigError if there are fewer clips than two.
    """
    clips = np.unique(samples.clip)
    if len(clips) < 2:
        raise ConfigError(f"{len(clips)} clips cannot be split into folds; give at least two")
    fold = np.searchsorted(clips, samples.clip) % min(num_folds, len(clips))
    found = np.full(len(samples.clip), np.nan)
    for each in np.unique(fold):
        model = fit_calibration(samples.chosen(fold != each), plan, version="fold")
        found[fold == each] = predicted(model, samples.chosen(fold == each))
    return found
