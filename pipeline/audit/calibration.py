"""The probability that a track is bad, from its measures, as a logistic model fitted where the truth is known."""

from dataclasses import dataclass

import numpy as np

from pipeline.audit.records import TrackMeasures, measure_names
from pipeline.errors import ConfigError

_LOG_UNIT_PX = 0.25
_MOST_DEVIATIONS = 5.0
TRANSFORMS = {
    "log": lambda measure: np.log1p(np.maximum(measure, 0.0) / _LOG_UNIT_PX),  # of distances in pixels
    "one-minus": lambda measure: 1.0 - measure,  # of correlations
    "identity": lambda measure: measure,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationTerm:
    """What one measure adds to the log odds: beta * clip((transform(m) - mean) / sd, -5, 5), and nothing where it is unknown."""

    measure: str
    transform: str  # a name of TRANSFORMS
    mean: float  # of the transformed measure, where the model was fitted
    sd: float
    beta: float

    def __post_init__(self) -> None:
        if self.measure not in measure_names():
            raise ConfigError(f"calibration: there is no measure {self.measure!r}; fit the calibration again with this version")
        if self.transform not in TRANSFORMS:
            raise ConfigError(f"calibration: transform of {self.measure} is {self.transform!r}, expected one of {', '.join(TRANSFORMS)}")
        if not (np.isfinite([self.mean, self.sd, self.beta]).all() and self.sd > 0):
            raise ConfigError(
                f"calibration: {self.measure} has mean {self.mean}, sd {self.sd}, beta {self.beta}; expected finite numbers and sd > 0;"
                " leave out a measure that is constant or unknown where the model is fitted"
            )

    def standardised(self, measures: TrackMeasures) -> np.ndarray:
        """z of each track, float64 "N" in [-5, 5]; 0 where the measure is unknown."""
        z = (TRANSFORMS[self.transform](measures.measure(self.measure).astype(np.float64)) - self.mean) / self.sd
        return np.clip(np.nan_to_num(z, nan=0.0, posinf=_MOST_DEVIATIONS, neginf=-_MOST_DEVIATIONS), -_MOST_DEVIATIONS, _MOST_DEVIATIONS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """A logistic model of bad tracks. Holds for the labeler (and checkpoint) on whose labels it was fitted, and for no other."""

    terms: tuple[CalibrationTerm, ...]
    intercept: float
    version: str

    def __post_init__(self) -> None:
        names = [term.measure for term in self.terms]
        if len(set(names)) != len(names):
            raise ConfigError(f"calibration {self.version}: a measure occurs twice in {', '.join(names)}")
        if not np.isfinite(self.intercept):
            raise ConfigError(f"calibration {self.version}: intercept is {self.intercept}, expected a finite number")


def bad_probability(measures: TrackMeasures, calibration: Calibration) -> np.ndarray:
    """p = 1 / (1 + exp(-(intercept + sum of beta_k z_k))) of each track; float64 "N"."""
    odds = np.full(measures.ncc.shape[1], calibration.intercept, np.float64)
    for term in calibration.terms:
        odds += term.beta * term.standardised(measures)
    return np.exp(-np.logaddexp(0.0, -odds))
