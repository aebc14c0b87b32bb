"""Windows of one video brought into one world: the similarity between two reconstructions of the same frames, robustly.

A model reconstructs each window in a world and a unit of its own. Frames that two windows share have two point maps of the same pixels,
and these correspond point by point.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.metrics.similarity import Similarity, umeyama
from trainer.inference.prediction import Prediction

_MAX_POINTS = 20_000  # of a joint; more are thinned evenly
_LEAST_POINTS = 3
_DRAWS = 200  # of three points: with half of the points wrong, 25 of them are right
_LOOKED_AT = 1000  # points by which a draw is judged
_ROUNDS = 15
_ROUNDING = 1e-6  # of the depth: differences of float32 points
_CUT = 3.0  # times the median error: farther points do not count. Of errors that are normal in three dimensions 1.5 medians are a deviation


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RobustFit:
    """A similarity, and the points that it was fitted to in the end."""

    similarity: Similarity  # from source to target
    error: np.ndarray  # float64 "N": distance after the fit, as a share of the depth
    inliers: np.ndarray  # bool "N"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Joint:
    """Where one window was joined to those before."""

    first: int  # number of the first shared frame in the video
    num_frames: int  # shared
    similarity: Similarity  # from the window's own world to the joined one
    error: float  # root mean square, over the points that count, of their distance as a share of their depth
    inliers: float  # share of the points that count
    turn_deg: float  # root mean square angle between the two windows' cameras of one frame
    shift: float  # root mean square distance between these cameras, as a share of the median depth


def robust_similarity(source: np.ndarray, target: np.ndarray, *, depth: np.ndarray, weights: np.ndarray) -> RobustFit:
    """The similarity that carries most of the source's points onto the target's, whatever the others do.

    Errors are relative to depth. The start is the least median of errors among similarities of three points each (up to half of the
    points may be wrong, and lie as far away as they like) and the plain fit; then weighted least squares again and again, by Tukey's
    biweight within three medians. Their scale is the ratio of the spreads of both sides: that of least squares shrinks where both are
    noisy, joint after joint.

    Args:
        source, target: "N 3", row i of one corresponds to row i of the other.
        depth: "N", above 0, of the points in their camera, in the target's unit.
        weights: "N", not negative, such as confidence.
    Raises: DataError if the points do not determine a similarity.
    Source: Umeyama 1991; Rousseeuw 1984 for the least median; Beaton and Tukey 1974 for the biweight.
    """
    base = weights / np.square(depth.astype(np.float64))
    fit = _least_median(source, target, depth=depth, plain=_determined(umeyama(source, target, weights=base)))
    for _ in range(_ROUNDS):
        error = _relative_error(fit, source, target, depth)
        counted = base * np.square(np.maximum(1 - np.square(error / _cut(error)), 0))
        fit = _balanced(_determined(umeyama(source, target, weights=counted)), source, target, counted)
    error = _relative_error(fit, source, target, depth)
    return RobustFit(similarity=fit, error=error, inliers=error <= _cut(error))


def join_windows(before: Prediction, after: Prediction, *, shared: int, first: int, least_confidence: float) -> Joint:
    """Find the similarity from a window's world to that of the windows before it.

    Args:
        before: the window before, in the joined world.
        after: the window, in its own.
        shared: the last frames of `before` are the first of `after`, so many.
        first: number of the first of them in the video.
        least_confidence: pixels below it in either window play no part.
    Raises: DataError, naming frames and remedy, if the shared frames do not determine a similarity.
    """
    where = f"frames {first} to {first + shared - 1}, which two windows share"
    if not shared:
        raise DataError(f"the windows before and from frame {first} share no frame, so that nothing joins them; give an --overlap above 0")
    confidence = np.minimum(before.confidence[-shared:], after.confidence[:shared]).reshape(-1)
    chosen = np.flatnonzero(confidence >= least_confidence)
    if len(chosen) < _LEAST_POINTS:
        raise DataError(
            f"{where}: {len(chosen)} of {len(confidence)} points have a confidence of {least_confidence:g} in both, expected"
            f" {_LEAST_POINTS} or more to join them by; lower --min-confidence"
        )
    chosen = chosen[:: -(-len(chosen) // _MAX_POINTS)]
    source, target = after.points[:shared].reshape(-1, 3)[chosen], before.points[-shared:].reshape(-1, 3)[chosen]
    depth = _mean_depth(before.depth[-shared:].reshape(-1)[chosen], after.depth[:shared].reshape(-1)[chosen])
    try:
        fit = robust_similarity(source, target, depth=depth, weights=confidence[chosen])
    except DataError as error:
        raise DataError(f"{where}: {error}; share more frames (--overlap), or take all into one window (--frames)") from error
    kept = fit.inliers
    mean_square = np.average(np.square(fit.error[kept]), weights=confidence[chosen][kept])
    turn_deg, shift = _camera_differences(before.camera_to_world[-shared:], after.camera_to_world[:shared], fit.similarity)
    return Joint(
        first=first,
        num_frames=shared,
        similarity=fit.similarity,
        error=float(np.sqrt(mean_square)),
        inliers=float(kept.mean()),
        turn_deg=turn_deg,
        shift=shift / float(np.median(depth)),
    )


def _mean_depth(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Geometric mean of depths "N" of one pixel in two units, in the first: a depth of one side alone would favour that side's noise."""
    before, after = before.astype(np.float64), after.astype(np.float64)
    return np.sqrt(before * after * (np.median(before) / np.median(after)))


def _determined(fit: Similarity) -> Similarity:
    if fit.degenerate is not None or not fit.scale > 0:
        raise DataError(f"no similarity joins the points: {fit.degenerate or 'they are mirrored, or do not correspond at all'}")
    return fit


def _least_median(source: np.ndarray, target: np.ndarray, *, depth: np.ndarray, plain: Similarity) -> Similarity:
    """The plain fit, or the similarity of three of the points, whichever has the least median error; the draws are always the same."""
    looked = slice(None, None, -(-len(source) // _LOOKED_AT))
    draws = np.random.default_rng(0).integers(len(source), size=(_DRAWS, _LEAST_POINTS))
    scale, rotation, translation = _similarities_of_few(source[draws].astype(np.float64), target[draws].astype(np.float64))
    moved = scale[:, None, None] * (source[looked] @ rotation.transpose(0, 2, 1)) + translation[:, None]
    medians = np.median(np.linalg.norm(moved - target[looked], axis=-1) / depth[looked], axis=1)
    best = int(medians.argmin())
    if medians[best] >= np.median(_relative_error(plain, source[looked], target[looked], depth[looked])):
        return plain
    return Similarity(rotation=rotation[best], translation=translation[best], scale=float(scale[best]))


def _similarities_of_few(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scales "D", rotations "D 3 3" and translations "D 3" of D sets of points "D K 3"; of coinciding points something finite."""
    means = source.mean(axis=1), target.mean(axis=1)
    centred = source - means[0][:, None], target - means[1][:, None]
    u, singular, vt = np.linalg.svd(centred[1].transpose(0, 2, 1) @ centred[0])
    signs = np.ones_like(singular)
    signs[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = (u * signs[:, None]) @ vt
    spread = np.square(centred[0]).sum(axis=(1, 2))
    scale = (singular * signs).sum(axis=1) / np.maximum(spread, np.finfo(np.float64).tiny)
    return scale, rotation, means[1] - scale[:, None] * (rotation @ means[0][..., None])[..., 0]


def _relative_error(fit: Similarity, source: np.ndarray, target: np.ndarray, depth: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(fit.apply(source) - target, axis=-1) / depth)


def _cut(error: np.ndarray) -> float:
    return _CUT * max(float(np.median(error)), _ROUNDING)


def _balanced(fit: Similarity, source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> Similarity:
    """The fit with the ratio of both sides' spreads as its scale."""
    share = weights / weights.sum()
    means = share @ source.astype(np.float64), share @ target.astype(np.float64)
    spreads = [float(share @ np.square(side - mean).sum(axis=1)) for side, mean in zip((source, target), means, strict=True)]
    scale = float(np.sqrt(spreads[1] / spreads[0]))
    return Similarity(rotation=fit.rotation, translation=means[1] - scale * (fit.rotation @ means[0]), scale=scale)


def _camera_differences(before: np.ndarray, after: np.ndarray, similarity: Similarity) -> tuple[float, float]:
    """Root mean squares over frames "T 4 4": degrees, and distance in the joined world."""
    turned = similarity.rotation @ after[:, :3, :3].astype(np.float64)
    chord = np.linalg.norm(turned - before[:, :3, :3], axis=(1, 2))  # 2 sqrt(2) sin(angle / 2), exact for small angles too
    distance = np.linalg.norm(similarity.apply(after[:, :3, 3]) - before[:, :3, 3], axis=-1)
    angle = np.degrees(2 * np.arcsin(np.minimum(chord / np.sqrt(8), 1)))
    return float(np.sqrt(np.mean(np.square(angle)))), float(np.sqrt(np.mean(np.square(distance))))
