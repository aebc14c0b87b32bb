"""The probability that a track is bad, from its measures, as an additive logistic model fitted where the truth is known."""

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
    """Contribution of one measure to the log odds: a line in z, bent at knots.

    z = clip((transform(m) - mean) / sd, -5, 5), and the term is beta z + sum over j of bends_j max(0, z - knots_j). Where the measure
    is unknown the term is `unknown`.
    """

    measure: str
    transform: str  # a name of TRANSFORMS
    mean: float  # of the transformed measure, where the model was fitted
    sd: float
    beta: float
    knots: tuple[float, ...] = ()  # in z, ascending
    bends: tuple[float, ...] = ()  # change of slope at each knot
    unknown: float = 0.0

    def __post_init__(self) -> None:
        if self.measure not in measure_names():
            raise ConfigError(f"calibration: there is no measure {self.measure!r}; fit the calibration again with this version")
        if self.transform not in TRANSFORMS:
            raise ConfigError(f"calibration: transform of {self.measure} is {self.transform!r}, expected one of {', '.join(TRANSFORMS)}")
        numbers = (self.mean, self.sd, self.beta, self.unknown, *self.knots, *self.bends)
        if not (np.isfinite(numbers).all() and self.sd > 0):
            raise ConfigError(
                f"calibration: {self.measure} has mean {self.mean}, sd {self.sd}, beta {self.beta}; expected finite numbers and sd > 0;"
                " leave out a measure that is constant or unknown where the model is fitted"
            )
        if len(self.knots) != len(self.bends) or list(self.knots) != sorted(set(self.knots)):
            raise ConfigError(
                f"calibration: {self.measure} has knots {self.knots} and bends {self.bends}; expected one bend per knot, ascending"
            )

    def log_odds(self, measure: np.ndarray) -> np.ndarray:
        """Log odds of the term for each of N values, float64 "N"; NaN is unknown."""
        z = standardise(measure, transform=self.transform, mean=self.mean, sd=self.sd)
        line = self.beta * z + sum(bend * np.maximum(z - knot, 0.0) for knot, bend in zip(self.knots, self.bends, strict=True))
        return np.where(np.isnan(z), self.unknown, line)


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


def standardise(measure: np.ndarray, *, transform: str, mean: float, sd: float) -> np.ndarray:
    """z of each value, float64 "N" in [-5, 5]; NaN where the measure is unknown."""
    z = (TRANSFORMS[transform](np.asarray(measure, np.float64)) - mean) / sd
    return np.clip(z, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)


def bad_probability(measures: TrackMeasures, calibration: Calibration) -> np.ndarray:
    """p = 1 / (1 + exp(-(intercept + sum of the terms))) of each track; float64 "N"."""
    odds = np.full(measures.ncc.shape[1], calibration.intercept, np.float64)
    for term in calibration.terms:
        odds += term.log_odds(measures.measure(term.measure))
    return probability(odds)


def probability(log_odds: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow, float64 "N"."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)))
