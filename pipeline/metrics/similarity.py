"""The similarity transform that best carries one set of points onto another (Umeyama), also where a part corresponds wrongly (RANSAC)."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.records.arrays import Floats

EPSILON = float(np.finfo(np.float64).eps)
SAMPLE = 3


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


def umeyama(source: Floats, target: Floats, *, with_scale: bool = True, weights: Floats | None = None) -> Similarity:
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


@dataclass(frozen=True, kw_only=True, slots=True)
class RansacConfig:
    """Settings of the search; the defaults are St4RTrack's."""

    num_draws: int = 1000
    inlier_m: float = 0.05
    max_points: int = 16_384  # more than these are thinned at random

    def __post_init__(self) -> None:
        if self.num_draws < 1 or not self.inlier_m > 0 or self.max_points < SAMPLE:
            raise ConfigError(
                f"num_draws is {self.num_draws}, inlier_m {self.inlier_m}, max_points {self.max_points};"
                f" expected at least 1, more than 0 m, at least {SAMPLE}"
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RansacSimilarity:
    """The fit to the inliers of the best sample."""

    similarity: Similarity  # its `degenerate` says why there is none
    num_inliers: int
    num_points: int  # looked at


def ransac_similarity(
    source: Floats, target: Floats, *, generator: np.random.Generator, config: RansacConfig | None = None
) -> RansacSimilarity:
    """The similarity from `source` to `target` with the most points nearer than `inlier_m`, refitted to these.

    Args:
        source, target: "N 3", row i of one corresponds to row i of the other; metres.
        generator: draws the samples; make it from the clip's key.
    Raises: DataError if shapes disagree or a point is not finite.
    Source: St4RTrack, alignment of reconstructions.
    """
    config = config or RansacConfig()
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.ndim != 2 or source.shape[1] != 3 or target.shape != source.shape:
        raise DataError(f"source is {list(source.shape)}, target {list(target.shape)}; expected [N, 3] and the same")
    if len(source) > config.max_points:
        kept = np.sort(generator.choice(len(source), config.max_points, replace=False))
        source, target = source[kept], target[kept]
    best = np.zeros(len(source), bool)
    for _ in range(config.num_draws if len(source) >= SAMPLE else 0):
        drawn = generator.choice(len(source), SAMPLE, replace=False)
        candidate = umeyama(source[drawn], target[drawn])
        if candidate.degenerate is None:
            near = np.square(candidate.apply(source) - target).sum(axis=-1) < config.inlier_m**2
            best = near if near.sum() > best.sum() else best
    if best.sum() >= SAMPLE:
        similarity = umeyama(source[best], target[best])
    else:
        why = f"no {config.num_draws} samples of {SAMPLE} points agree with {SAMPLE} of the {len(source)} points within {config.inlier_m} m"
        similarity = Similarity(rotation=np.full((3, 3), np.nan), translation=np.full(3, np.nan), scale=np.nan, degenerate=why)
    return RansacSimilarity(similarity=similarity, num_inliers=int(best.sum()), num_points=len(source))
