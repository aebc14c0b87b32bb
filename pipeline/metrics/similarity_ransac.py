"""A similarity transform between clouds of which a part corresponds wrongly: random samples of three, then a fit to who agrees."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.similarity import Similarity, umeyama

SAMPLE = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class RansacConfig:
    """How hard to search; the defaults are St4RTrack's."""

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
    source: np.ndarray, target: np.ndarray, *, generator: np.random.Generator, config: RansacConfig | None = None
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
