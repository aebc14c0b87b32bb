"""WorldTrack: tracks in the world of the first camera, and the geometry that comes with them, up to one similarity."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.similarity import RansacConfig, Similarity, ransac_similarity, umeyama
from pipeline.records.arrays import Bools, Floats

THRESHOLDS_M = (0.1, 0.3, 0.5, 1.0)
ALIGNMENTS = ("median_scale", "per_trajectory", "sim3", "sim3_repository")  # of tracks
POINT_ALIGNMENTS = ("median_scale", "sim3_ransac")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WorldTrackMetrics:
    """Of one sequence; shares in [0, 1], NaN where undefined, with the reason. The dataset's values are plain means over sequences."""

    apd: float  # mean of `within` over the thresholds
    within: Mapping[float, float]  # by threshold in metres: share of points at most so far away
    epe_m: float  # mean distance
    num_points: int
    scale: float | np.ndarray  # what multiplied the prediction: one number, or "N" for per_trajectory
    similarity: Similarity | None = None  # for the alignments by a similarity
    undefined: Mapping[str, str] = field(default_factory=dict)


def world_track_metrics(
    prediction: Floats, truth: Floats, *, alignment: str = "median_scale", tracks: Bools | None = None
) -> WorldTrackMetrics:
    """APD and mean end-point error over all frames of the tracks, also those where the point is hidden.

    Alignments, each fitted to the tracks evaluated:

    - median_scale: the ratio of the median distances to the first camera. The benchmark's default.
    - per_trajectory: the same for each track.
    - sim3: the least-squares similarity (Umeyama).
    - sim3_repository: as the public evaluation has it: where the clouds are mirrored it removes the reflection from the rotation but keeps
      the sum of all singular values as the scale, which is then too large. Equal to sim3 otherwise.

    Args:
        prediction, truth: "T N 3" in the world of the first camera; the truth in metres.
        tracks: bool "N": evaluate these (such as `world_track_queries`, `dynamic_tracks`); None: all.
    Raises: ConfigError for an unknown alignment; DataError if shapes disagree or a position is not finite.
    Source: St4RTrack, WorldTrack benchmark.
    """
    if alignment not in ALIGNMENTS:
        raise ConfigError(f"alignment is {alignment!r}, expected one of {', '.join(ALIGNMENTS)}")
    prediction, truth = _checked(prediction, truth, tracks)
    if alignment.startswith("sim3"):
        similarity = _similarity(prediction.reshape(-1, 3), truth.reshape(-1, 3), repository=alignment == "sim3_repository")
        return _after(similarity, prediction.reshape(-1, 3), truth.reshape(-1, 3))
    axis = 0 if alignment == "per_trajectory" else None
    if not truth.size:
        return _undefined("there are no points", num_points=0)
    true_norm, norm = (np.median(np.linalg.norm(points, axis=-1), axis=axis) for points in (truth, prediction))
    if (lost := np.asarray(norm == 0)).any():
        where = f" of {lost.sum()} tracks" if lost.ndim else ""
        return _undefined(f"half of the predicted points{where} lie in the first camera", num_points=truth[..., 0].size)
    scale = true_norm / norm
    measured = _measured(np.asarray(scale)[..., None] * prediction, truth)
    return replace(measured, scale=scale if axis == 0 else float(scale))


def world_reconstruction_metrics(
    prediction: Floats, truth: Floats, *, depth_m: Floats, generator: np.random.Generator, config: RansacConfig | None = None
) -> WorldTrackMetrics:
    """The same values for point maps, over the pixels of all frames with a true depth in range, after a similarity by RANSAC.

    Args:
        prediction, truth: "T H W 3" in the world of the first camera, of one size (resize predictions bilinearly to the truth's).
        depth_m: "T H W", true depth along z; 0 = invalid.
    Raises: DataError if shapes disagree or a point that counts is not finite.
    Source: St4RTrack, WorldTrack benchmark, reconstruction.
    """
    if prediction.shape != truth.shape or truth.shape != (*depth_m.shape, 3):
        raise DataError(
            f"prediction is {list(prediction.shape)}, truth {list(truth.shape)}, depth {list(depth_m.shape)};"
            " expected [T, H, W, 3], the same, and [T, H, W]"
        )
    counted = reconstruction_pixels(depth_m)
    return world_point_metrics(prediction[counted], truth[counted], generator=generator, config=config)


def reconstruction_pixels(depth_m: Floats) -> Bools:
    """Pixels that count in a reconstruction, bool "..." like `depth_m`: those with a true depth in (0.1, 5) m."""
    return (depth_m > 0.1) & (depth_m < 5)


def world_point_metrics(
    prediction: Floats,
    truth: Floats,
    *,
    alignment: str = "sim3_ransac",
    generator: np.random.Generator,
    config: RansacConfig | None = None,
) -> WorldTrackMetrics:
    """The same values for points that correspond, such as those of all pixels that count.

    Args:
        prediction, truth: "K 3" in the world of the first camera; the truth in metres.
        alignment: sim3_ransac, or median_scale as of tracks, from the first camera.
        generator, config: of RANSAC.
    Raises: ConfigError for another alignment; DataError if shapes disagree or a point is not finite.
    Source: St4RTrack, WorldTrack benchmark, reconstruction.
    """
    if alignment not in POINT_ALIGNMENTS:
        raise ConfigError(f"alignment is {alignment!r}, expected one of {', '.join(POINT_ALIGNMENTS)}")
    if alignment == "median_scale":
        return world_track_metrics(prediction[None], truth[None])
    points, true_points = prediction.astype(np.float64), truth.astype(np.float64)
    _check_finite(points, true_points)
    found = ransac_similarity(points, true_points, generator=generator, config=config)
    return _after(found.similarity, points, true_points)


def dynamic_tracks(truth: np.ndarray, *, threshold_m: float = 0.01) -> np.ndarray:
    """bool "N": tracks "T N 3" (world, metres) whose steps from frame to frame add up to more than `threshold_m`."""
    return np.asarray(np.linalg.norm(np.diff(truth, axis=0), axis=-1).sum(axis=0) > threshold_m)


def world_track_queries(visible: np.ndarray, tracks_px: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """bool "N": tracks ("T N" visible, "T N 2" pixels, integer = pixel centre) seen in frame 0, inside the image there."""
    x, y = np.moveaxis(tracks_px[0], -1, 0)
    return np.asarray(visible[0] & (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5))


def tracks_in_first_camera(tracks: np.ndarray, camera_to_world: np.ndarray) -> np.ndarray:
    """Tracks "T N 3" in the camera of each frame to the camera of frame 0, by "T 4 4" poses: inv(C_0) C_t X, float64."""
    to_first = np.linalg.inv(camera_to_world[0].astype(np.float64)) @ camera_to_world.astype(np.float64)
    return np.asarray(np.einsum("tij,tnj->tni", to_first[:, :3, :3], tracks.astype(np.float64)) + to_first[:, None, :3, 3])


def _similarity(source: np.ndarray, target: np.ndarray, *, repository: bool) -> Similarity:
    similarity = umeyama(source, target)
    if not repository or similarity.degenerate is not None:
        return similarity
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    singular = np.linalg.svd((target - target_mean).T @ (source - source_mean), compute_uv=False)
    scale = float(singular.sum() / np.square(source - source_mean).sum())
    return replace(similarity, scale=scale, translation=target_mean - scale * (similarity.rotation @ source_mean))


def _after(similarity: Similarity, prediction: np.ndarray, truth: np.ndarray) -> WorldTrackMetrics:
    if similarity.degenerate is not None:
        return _undefined(similarity.degenerate, num_points=len(truth))
    return replace(_measured(similarity.apply(prediction), truth), scale=similarity.scale, similarity=similarity)


def _measured(aligned: np.ndarray, truth: np.ndarray) -> WorldTrackMetrics:
    distance = np.linalg.norm(aligned - truth, axis=-1)
    within = {threshold: float(np.mean(distance <= threshold)) for threshold in THRESHOLDS_M}
    return WorldTrackMetrics(
        apd=float(np.mean(list(within.values()))), within=within, epe_m=float(distance.mean()), num_points=distance.size, scale=1.0
    )


def _undefined(why: str, *, num_points: int) -> WorldTrackMetrics:
    return WorldTrackMetrics(
        apd=np.nan,
        within=dict.fromkeys(THRESHOLDS_M, np.nan),
        epe_m=np.nan,
        num_points=num_points,
        scale=np.nan,
        undefined=dict.fromkeys(("apd", "epe_m"), f"no alignment: {why}"),
    )


def _checked(prediction: np.ndarray, truth: np.ndarray, tracks: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    if truth.ndim != 3 or truth.shape[2] != 3 or prediction.shape != truth.shape:
        raise DataError(f"prediction is {list(prediction.shape)}, truth {list(truth.shape)}; expected [T, N, 3] and the same")
    if tracks is not None and (tracks.dtype != bool or tracks.shape != truth.shape[1:2]):
        raise DataError(f"tracks is {tracks.dtype}{list(tracks.shape)}, expected bool[{truth.shape[1]}]")
    chosen = slice(None) if tracks is None else tracks
    prediction, truth = prediction[:, chosen].astype(np.float64), truth[:, chosen].astype(np.float64)
    _check_finite(prediction, truth)
    return prediction, truth


def _check_finite(prediction: np.ndarray, truth: np.ndarray) -> None:
    for name, points in (("predicted", prediction), ("true", truth)):
        if not np.isfinite(points).all():
            raise DataError(f"{name} points hold NaN or infinity where they are evaluated; leave such tracks or pixels out")
