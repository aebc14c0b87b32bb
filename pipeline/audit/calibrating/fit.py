"""Fitting the logistic model of bad tracks: the measures it is made of, the fit, and its cross-validation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize

from pipeline.audit.calibrating.samples import TrackSamples
from pipeline.audit.calibration import TRANSFORMS, Calibration, CalibrationTerm, probability, standardise
from pipeline.errors import ConfigError, DataError

_MIN_KNOWN = 0.2  # share of the tracks of which a measure must be known to become a term


def _default() -> dict[str, str]:
    return {
        **dict.fromkeys(("realign_mean", "realign_max", "realign_long_mean", "realign_long_max"), "log"),
        **dict.fromkeys(("flow_drift_mean", "flow_drift_max"), "log"),
        **dict.fromkeys(("ncc_min", "ncc_mean", "ncc_step_min", "vis_conf"), "one-minus"),
        **dict.fromkeys(("neigh_max", "homog_med", "sampson_med", "accel_max", "jump"), "log"),
        **dict.fromkeys(("border_min", "len"), "log"),
        **dict.fromkeys(("static_score", "texture", "cover"), "identity"),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class TermPlan:
    """The form of the model, before it is fitted."""

    measures: Mapping[str, str] = field(default_factory=_default)  # name -> transform
    num_knots: int = 3  # of each term
    penalty: float = 10.0


def fit_calibration(samples: TrackSamples, plan: TermPlan, *, version: str) -> Calibration:
    """The logistic model that makes the samples most likely, held back by an L2 penalty.

    Minimised is sum over the tracks of log(1 + exp(-s x)) + penalty / 2 |theta|^2, with x the log odds, s = 1 for bad and -1 for good
    tracks, and theta all coefficients but the intercept: slope, bends, and log odds of the unknown of every term. Knots are quantiles
    of z. A measure known of fewer than 20 % of the tracks, or constant, is left out.

    Raises: DataError if no measure of the plan is left.
    """
    terms = [_blank(samples, measure, transform, plan.num_knots) for measure, transform in plan.measures.items()]
    usable = [term for term in terms if term is not None]
    if not usable:
        raise DataError(f"none of the measures {', '.join(plan.measures)} is known of enough tracks; audit these labels again")
    columns = [_columns(term, samples.measures[term.measure]) for term in usable]
    weights = _minimised(np.column_stack([np.ones(len(samples.clip)), *columns]), samples.bad, plan.penalty)
    fitted, start = [], 1
    for term, block in zip(usable, columns, strict=True):
        fitted.append(_filled(term, weights[start : start + block.shape[1]]))
        start += block.shape[1]
    return Calibration(terms=tuple(fitted), intercept=float(weights[0]), version=version)


def predict(calibration: Calibration, samples: TrackSamples) -> np.ndarray:
    """Probability of being bad of each sample, float64 "M"."""
    odds = np.full(len(samples.clip), calibration.intercept)
    for term in calibration.terms:
        odds += term.log_odds(samples.measures[term.measure])
    return probability(odds)


def _blank(samples: TrackSamples, measure: str, transform: str, num_knots: int) -> CalibrationTerm | None:
    """A term with its place, scale and knots, and no weight yet; None where the measure says nothing."""
    values = TRANSFORMS[transform](samples.measures[measure].astype(np.float64))
    known = values[np.isfinite(values)]
    if len(known) < _MIN_KNOWN * len(values) or len(known) == 0 or known.std() <= 1e-6:
        return None
    mean, sd = float(known.mean()), float(known.std())
    z = standardise(samples.measures[measure], transform=transform, mean=mean, sd=sd)
    quantiles = np.nanquantile(z, np.linspace(0, 1, num_knots + 2)[1:-1])
    knots = np.unique(np.round(quantiles, 4)) if num_knots else np.zeros(0)
    return CalibrationTerm(
        measure=measure,
        transform=transform,
        mean=mean,
        sd=sd,
        beta=0.0,
        knots=tuple(float(knot) for knot in knots),
        bends=tuple(0.0 for _ in knots),
    )


def _columns(term: CalibrationTerm, measure: np.ndarray) -> np.ndarray:
    """Columns that the term's coefficients multiply: z, each knot's hinge, and whether the measure is unknown; float64 "M C"."""
    z = standardise(measure, transform=term.transform, mean=term.mean, sd=term.sd)
    unknown = np.isnan(z)
    line = np.where(unknown, 0.0, z)
    hinges = [np.where(unknown, 0.0, np.maximum(z - knot, 0.0)) for knot in term.knots]
    return np.column_stack([line, *hinges, unknown])


def _filled(term: CalibrationTerm, weights: np.ndarray) -> CalibrationTerm:
    return CalibrationTerm(
        measure=term.measure,
        transform=term.transform,
        mean=term.mean,
        sd=term.sd,
        beta=float(weights[0]),
        knots=term.knots,
        bends=tuple(float(bend) for bend in weights[1:-1]),
        unknown=float(weights[-1]),
    )


def _minimised(columns: np.ndarray, bad: np.ndarray, penalty: float) -> np.ndarray:
    sign = np.where(bad, 1.0, -1.0)
    held = np.full(columns.shape[1], penalty)
    held[0] = 0.0

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        odds = columns @ theta
        value = np.logaddexp(0.0, -sign * odds).sum() + (held * theta**2).sum() / 2
        return float(value), columns.T @ (probability(odds) - bad) + held * theta

    found = minimize(loss, np.zeros(columns.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-6})
    return np.asarray(found.x)


def cross_validate(samples: TrackSamples, plan: TermPlan, *, num_folds: int = 8) -> np.ndarray:
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
        found[fold == each] = predict(model, samples.chosen(fold == each))
    return found
