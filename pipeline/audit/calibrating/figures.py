"""Figures of a score that parts bad tracks from good ones, and of a probability's calibration."""

import numpy as np
from scipy.stats import rankdata

from pipeline.audit.calibrating.records import GateReport, ReliabilityBin

ECE_BINS, TABLE_BINS = 10, 6


def auroc(score: np.ndarray, bad: np.ndarray) -> float:
    """Share of pairs (bad, good) in which the bad track scores higher, ties counting half; NaN without both kinds.

    Args:
        score: "M", without NaN. bad: bool "M".
    """
    num_bad, num_good = int(bad.sum()), int((~bad).sum())
    if not (num_bad and num_good):
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[bad].sum() - num_bad * (num_bad + 1) / 2) / (num_bad * num_good))


def aurocs_by_clip(score: np.ndarray, bad: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """AUROC within each clip that has both kinds, float64 "K"."""
    found = [auroc(score[clip == each], bad[clip == each]) for each in np.unique(clip)]
    return np.array([value for value in found if not np.isnan(value)], np.float64)


def precision_recall(score: np.ndarray, bad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of calling the tracks of the k highest scores bad, for each k at which the score changes."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(bad[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    return hits[last] / (last + 1), hits[last] / max(int(bad.sum()), 1)


def average_precision(score: np.ndarray, bad: np.ndarray) -> float:
    """Sum of precision times the growth of recall; NaN without a bad track."""
    if not bad.any():
        return float("nan")
    precision, recall = precision_recall(score, bad)
    return float(np.sum(precision * np.diff(recall, prepend=0.0)))


def precision_at_recall(score: np.ndarray, bad: np.ndarray, recall: float) -> float:
    """Highest precision with which at least this share of the bad tracks is found; NaN without a bad track."""
    if not bad.any():
        return float("nan")
    precision, reached = precision_recall(score, bad)
    return float(precision[reached >= recall - 1e-12].max())


def brier(probability: np.ndarray, bad: np.ndarray) -> float:
    """Mean of (p - bad)^2."""
    return float(np.mean((probability - bad) ** 2))


def reliability(probability: np.ndarray, bad: np.ndarray, *, num_bins: int) -> tuple[ReliabilityBin, ...]:
    """Bins of equal width in the predicted probability; empty ones are left out."""
    number = np.minimum((probability * num_bins).astype(int), num_bins - 1)
    return tuple(
        ReliabilityBin(
            predicted=float(probability[number == each].mean()),
            observed=float(bad[number == each].mean()),
            num_tracks=int((number == each).sum()),
        )
        for each in np.unique(number)
    )


def expected_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Mean of |predicted - observed| over the tracks."""
    total = sum(each.num_tracks for each in bins)
    return sum(abs(each.predicted - each.observed) * each.num_tracks for each in bins) / max(total, 1)


def gate_report(probability: np.ndarray, bad: np.ndarray, threshold: float) -> GateReport:
    """Gate of tracks whose probability is below the threshold."""
    kept = probability < threshold
    return GateReport(
        threshold=threshold,
        kept_share=float(kept.mean()),
        bad_before=float(bad.mean()),
        bad_after=float(bad[kept].mean()) if kept.any() else float("nan"),
    )
