"""The similarity transform that best carries one set of points onto another (Umeyama)."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Similarity:
    """x -> scale * rotation @ x + translation, float64; `degenerate` says why the points do not determine it, where they do not."""

    rotation: np.ndarray  # "3 3", determinant +1; NaN where there was nothing to fit
    translation: np.ndarray  # "3", in units of the target
    scale: float  # target units per source unit; NaN where the points of a side coincide
    degenerate: str | None = None

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points "... 3" of the source in the target's frame, float64."""
        return self.scale * (np.asarray(points, np.float64) @ self.rotation.T) + self.translation


def umeyama(source: np.ndarray, target: np.ndarray, *, with_scale: bool = True, weights: np.ndarray | None = None) -> Similarity:
    """Least-squares similarity (or, without scale, rigid motion) from `source` to `target`; a mirror image is fitted by a true rotation.

    The fit is degenerate where fewer than two singular values of the covariance rise above rounding (coinciding or collinear points):
    a least-squares answer is returned where one exists, `degenerate` says what is wrong, and the caller decides what that is worth.

    Args:
        source, target: "N 3", row i of one corresponds to row i of the other.
        with_scale: False keeps the scale at 1.
        weights: "N", not negative; None weighs all points alike. Rows of weight 0 are ignored, whatever they hold.
    Raises: DataError if shapes disagree, a weight is negative, or a point that counts is not finite.
    Source: Umeyama 1991, eq. (40)-(43).
    """
    source, target, weights = _checked(source, target, weights)
    if not len(source):
        nothing = np.full(3, np.nan)
        return Similarity(rotation=np.full((3, 3), np.nan), translation=nothing, scale=np.nan, degenerate="there are no points to align")
    share = weights / weights.sum()
    source_mean, target_mean = share @ source, share @ target
    source_centred, target_centred = source - source_mean, target - target_mean
    covariance = (target_centred * share[:, None]).T @ source_centred
    u, singular, vt = np.linalg.svd(covariance)
    # The field's protocol compares with machine epsilon as it stands. Rounding grows with the covariance, so the largest singular value
    # bounds it as well: a straight path in a large room is as straight as in a small one.
    rank = int(np.sum(singular > EPSILON * max(1.0, float(singular[0]))))
    signs = np.array([1.0, 1.0, 1.0 if np.linalg.det(u) * np.linalg.det(vt) >= 0 else -1.0])
    rotation = (u * signs) @ vt
    scale = 1.0
    if with_scale:
        variance = float(share @ np.square(source_centred).sum(axis=1))
        scale = float(singular @ signs) / variance if rank > 0 else np.nan
    translation = target_mean - scale * (rotation @ source_mean)
    return Similarity(rotation=rotation, translation=translation, scale=scale, degenerate=_why_degenerate(rank, len(source)))


def _why_degenerate(rank: int, num_points: int) -> str | None:
    if rank >= 2:
        return None
    shape = "coincide" if rank == 0 else "lie on one line"
    return f"on at least one side the points ({num_points}) {shape} (covariance of rank {rank}, an alignment needs 2)"


def _checked(source: np.ndarray, target: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    weights = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    if source.ndim != 2 or source.shape[1] != 3 or target.shape != source.shape or weights.shape != source.shape[:1]:
        raise DataError(
            f"source is {list(source.shape)}, target {list(target.shape)}, weights {list(weights.shape)}; expected [N, 3], [N, 3] and [N]"
        )
    if not (weights >= 0).all() or np.isinf(weights).any():
        raise DataError("weights hold a negative, NaN or infinite value; a point that shall not count has weight 0")
    counted = weights > 0
    source, target, weights = source[counted], target[counted], weights[counted]
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise DataError("source or target holds NaN or infinity; give such points weight 0 or leave them out")
    return source, target, weights
