"""The scale and shift by which a predicted depth is fitted to the true one before it is measured."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, DataError

ALIGNMENTS = ("metric", "median", "scale_l1", "scale_shift_l1", "scale_shift_l2")
NUM_REWEIGHTINGS = 10
SMALLEST_SCALE = 1e-3
ADAM_STEP, ADAM_DECAYS, ADAM_EPSILON = 1e-4, (0.9, 0.999), 1e-8
MAX_ADAM_STEPS = 1000
ADAM_TOLERANCE = 1e-6  # of the loss, between two steps


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthAlignment:
    """predicted -> scale * predicted + shift."""

    scale: float
    shift: float = 0.0  # metres

    def apply(self, predicted: np.ndarray) -> np.ndarray:
        """The aligned depth, in the prediction's own precision."""
        precision = predicted.dtype.type
        return precision(self.scale) * predicted + precision(self.shift)


def align_depth(predicted: np.ndarray, true: np.ndarray, alignment: str) -> DepthAlignment:
    """Fit one scale (and shift) to all pixels of a sequence.

    - metric: nothing is fitted.
    - median: ratio of the medians; of an even count the lower middle value.
    - scale_l1: ten steps of reweighted least squares towards the smallest sum of |s p - g|, never below 1e-3.
    - scale_shift_l1: the published optimiser of |s p + t - g|, from the ratio of the medians. It is Adam with small steps and stops early,
      so that s and t move by little more than 0.1; tables were made with it, and a converged fit would give other numbers.
    - scale_shift_l2: least squares in closed form (of many solutions the smallest).

    Args:
        predicted, true: "P", valid pixels only, finite. The fit runs in the prediction's precision, as the published one does.
    Returns:
        NaN or infinite scale where there is no solution (no pixel, a prediction of zeros).
    Raises: ConfigError for an unknown alignment; DataError if shapes disagree.
    Source: MonST3R and CUT3R, depth evaluation.
    """
    fits = {
        "metric": lambda predicted, true: DepthAlignment(scale=1.0),
        "median": _fit_median,
        "scale_l1": _fit_scale_l1,
        "scale_shift_l1": _fit_scale_shift_l1,
        "scale_shift_l2": _fit_scale_shift_l2,
    }
    if alignment not in fits:
        raise ConfigError(f"depth alignment is {alignment!r}, expected one of {', '.join(ALIGNMENTS)}")
    if predicted.ndim != 1 or predicted.shape != true.shape:
        raise DataError(f"predicted depth is {list(predicted.shape)}, true depth {list(true.shape)}; expected two lists of one length")
    if not len(predicted):
        return DepthAlignment(scale=np.nan)
    predicted = predicted if predicted.dtype in (np.float32, np.float64) else predicted.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return fits[alignment](predicted, true)


def lower_median(values: np.ndarray) -> float:
    """The middle value of "P", the lower of two where the count is even."""
    middle = (len(values) - 1) // 2
    return float(np.partition(values, middle)[middle])


def _fit_median(predicted: np.ndarray, true: np.ndarray) -> DepthAlignment:
    return DepthAlignment(scale=float(np.divide(lower_median(true), lower_median(predicted))))


def _fit_scale_l1(predicted: np.ndarray, true: np.ndarray) -> DepthAlignment:
    # Weights grow up to 1e8 where a pixel fits, and ten steps do not converge: the result carries the noise of the precision. Sums in
    # float64 keep it from depending on the order of summation as well, which differs between processors.
    precision = predicted.dtype.type
    scale = precision(_sum(true) / _sum(predicted))
    for _ in range(NUM_REWEIGHTINGS):
        weighted = 1 / (np.abs(scale * predicted - true) + precision(1e-8)) * predicted
        scale = precision(_sum(weighted * true) / _sum(weighted * predicted))
    return DepthAlignment(scale=max(float(scale), SMALLEST_SCALE) if np.isfinite(scale) else np.nan)


def _fit_scale_shift_l1(predicted: np.ndarray, true: np.ndarray) -> DepthAlignment:
    precision = predicted.dtype.type
    parameters = np.array([_fit_median(predicted, true).scale, 0], predicted.dtype)
    mean, square = np.zeros_like(parameters), np.zeros_like(parameters)
    previous_loss = np.inf
    for step in range(1, MAX_ADAM_STEPS + 1):
        residual = parameters[0] * predicted + parameters[1] - true
        loss = float(np.sum(np.abs(residual)))
        side = np.sign(residual)
        gradient = np.array([np.sum(side * predicted), np.sum(side)], predicted.dtype)
        mean += precision(1 - ADAM_DECAYS[0]) * (gradient - mean)
        square = precision(ADAM_DECAYS[1]) * square + precision(1 - ADAM_DECAYS[1]) * np.square(gradient)
        rate = precision(ADAM_STEP / (1 - ADAM_DECAYS[0] ** step))
        root = np.sqrt(square) / precision(np.sqrt(1 - ADAM_DECAYS[1] ** step)) + precision(ADAM_EPSILON)
        parameters = parameters - rate * mean / root
        if abs(previous_loss - loss) < ADAM_TOLERANCE:
            break
        previous_loss = loss
    return DepthAlignment(scale=float(parameters[0]), shift=float(parameters[1]))


def _sum(values: np.ndarray) -> np.float64:
    return np.sum(values, dtype=np.float64)


def _fit_scale_shift_l2(predicted: np.ndarray, true: np.ndarray) -> DepthAlignment:
    columns = np.stack([predicted, np.ones_like(predicted)], axis=1)
    solution = np.linalg.lstsq(columns, true, rcond=None)[0]
    return DepthAlignment(scale=float(solution[0]), shift=float(solution[1]))
