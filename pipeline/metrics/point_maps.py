"""Accuracy, completion and normal consistency of predicted point maps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from pipeline.errors import DataError
from pipeline.metrics.point_clouds import IcpResult, estimate_normals, icp
from pipeline.metrics.similarity import Similarity, umeyama
from pipeline.records.arrays import Bools, Floats

ICP_DISTANCE = 0.1  # metres; 100 for DTU, which is in millimetres
CONSISTENCIES = ("normal_consistency", "normals_of_prediction", "normals_of_truth")
VALUES = ("accuracy", "completion", *CONSISTENCIES)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PointCloud:
    """P points and, where known, their unit normals (of either sign)."""

    points: np.ndarray  # "P 3"
    normals: np.ndarray | None = None  # "P 3"; NaN where a point has none

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 3:
            raise DataError(f"points are {list(self.points.shape)}, expected [P, 3]")
        if self.normals is not None and self.normals.shape != self.points.shape:
            raise DataError(f"normals are {list(self.normals.shape)}, expected {list(self.points.shape)} as the points")


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Mean and median of one measure over all points; NaN where undefined."""

    mean: float
    median: float

    @property
    def undefined(self) -> bool:
        """Whether there was nothing to measure."""
        return bool(np.isnan(self.mean))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PointMapMetrics:
    """Values of one sequence; NaN where undefined, `undefined` says which and why."""

    accuracy: Spread  # distance from each predicted point to the nearest true one, in the truth's unit
    completion: Spread  # distance from each true point to the nearest predicted one
    normal_consistency: Spread  # the mean of the next two, in [0, 1]
    normals_of_prediction: Spread  # |cosine| between a predicted point's normal and that of the nearest true point
    normals_of_truth: Spread  # the same from the true points
    num_points: int  # predicted points that were compared
    alignment: Similarity | None = None  # prediction to truth, before ICP
    refinement: IcpResult | None = None
    undefined: Mapping[str, str] = field(default_factory=dict)  # name of a field that holds NaN -> the reason


def point_map_metrics(predicted: Floats, true: Floats, *, mask: Bools, icp_distance: float | None = ICP_DISTANCE) -> PointMapMetrics:
    """Align predicted point maps with the truth and compare the two clouds.

    Steps: a similarity on the pixels of the mask, point to point; ICP; normals of both clouds; nearest neighbours both ways.

    Args:
        predicted: "N H W 3", in any frame and scale.
        true: "N H W 3", world points of the same pixels.
        mask: bool "N H W", pixels with a true point.
        icp_distance: largest distance of an ICP match, in the truth's unit; None leaves ICP out.
    Raises: DataError if shapes disagree or a true point inside the mask is not finite.
    Source: the reconstruction evaluation of pi3 (after Spann3R): Umeyama, ICP, distances without clipping, unoriented normals.
    """
    if true.ndim != 4 or true.shape[3] != 3 or predicted.shape != true.shape or mask.shape != true.shape[:3] or mask.dtype != bool:
        raise DataError(
            f"predicted points are {list(predicted.shape)}, true points {list(true.shape)}, mask {mask.dtype}{list(mask.shape)};"
            " expected [N, H, W, 3] twice and bool[N, H, W]"
        )
    source, target = np.asarray(predicted[mask], np.float64), np.asarray(true[mask], np.float64)
    if not np.isfinite(target).all():
        raise DataError("a true point inside the mask is NaN or infinite; take it out of the mask")
    lost = int((~np.isfinite(source)).any(axis=1).sum())
    if lost:
        return _undefined(f"{lost} of {len(source)} predicted points inside the mask are NaN or infinite", num_points=len(source))
    similarity = umeyama(source, target)
    if similarity.degenerate is not None:
        return _undefined(f"the point maps cannot be aligned: {similarity.degenerate}", num_points=len(source))
    source = similarity.apply(source)
    refinement = None if icp_distance is None else icp(source, target, max_distance=icp_distance)
    if refinement is not None:
        source = refinement.apply(source)
    return _compared(
        PointCloud(points=source, normals=estimate_normals(source)),
        PointCloud(points=target, normals=estimate_normals(target)),
        similarity=similarity,
        refinement=refinement,
    )


def compare_clouds(predicted: PointCloud, true: PointCloud) -> PointMapMetrics:
    """Accuracy, completion and normal consistency of two clouds that already lie in one frame.

    Normals that are not given are estimated from the points. Points without a normal (NaN) do not count in the consistency.

    Raises: DataError if a point is not finite.
    Source: as `point_map_metrics`, its last two steps.
    """
    for name, cloud in (("predicted", predicted), ("true", true)):
        if not np.isfinite(cloud.points).all():
            raise DataError(f"the {name} cloud holds NaN or infinity; leave such points out")
    return _compared(_with_normals(predicted), _with_normals(true), similarity=None, refinement=None)


def _with_normals(cloud: PointCloud) -> PointCloud:
    return cloud if cloud.normals is not None else PointCloud(points=cloud.points, normals=estimate_normals(cloud.points))


def _compared(predicted: PointCloud, true: PointCloud, *, similarity: Similarity | None, refinement: IcpResult | None) -> PointMapMetrics:
    if not len(predicted.points) or not len(true.points):
        side = "predicted" if not len(predicted.points) else "true"
        return _undefined(f"the {side} cloud has no points", num_points=len(predicted.points))
    accuracy, nearest_true = cKDTree(true.points).query(predicted.points)
    completion, nearest_predicted = cKDTree(predicted.points).query(true.points)
    of_prediction = _spread(_cosines(predicted, true, nearest_true))
    of_truth = _spread(_cosines(true, predicted, nearest_predicted))
    consistency = Spread(mean=(of_prediction.mean + of_truth.mean) / 2, median=(of_prediction.median + of_truth.median) / 2)
    no_normals = "no point has a normal whose nearest point in the other cloud has one too"
    undefined = {
        name: no_normals for name, spread in zip(CONSISTENCIES, (consistency, of_prediction, of_truth), strict=True) if spread.undefined
    }
    return PointMapMetrics(
        accuracy=_spread(accuracy),
        completion=_spread(completion),
        normal_consistency=consistency,
        normals_of_prediction=of_prediction,
        normals_of_truth=of_truth,
        num_points=len(predicted.points),
        alignment=similarity,
        refinement=refinement,
        undefined=undefined,
    )


def _cosines(of: PointCloud, others: PointCloud, nearest: np.ndarray) -> np.ndarray:
    """|cosine| between each point's normal and that of its nearest other point, where both have one."""
    assert of.normals is not None, "normals are given or estimated before clouds are compared"
    assert others.normals is not None, "normals are given or estimated before clouds are compared"
    cosines = np.abs(np.sum(of.normals * others.normals[nearest], axis=1))
    return cosines[~np.isnan(cosines)]


def _spread(values: np.ndarray) -> Spread:
    return Spread(mean=float(np.mean(values)), median=float(np.median(values))) if len(values) else Spread(mean=np.nan, median=np.nan)


def _undefined(reason: str, *, num_points: int) -> PointMapMetrics:
    nothing = Spread(mean=np.nan, median=np.nan)
    return PointMapMetrics(
        accuracy=nothing,
        completion=nothing,
        normal_consistency=nothing,
        normals_of_prediction=nothing,
        normals_of_truth=nothing,
        num_points=num_points,
        undefined=dict.fromkeys(VALUES, reason),
    )
