"""A prediction laid beside the truth: both of size 1, and the one scale per clip that brings them nearest to each other [π³ code]."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.errors import DataError
from trainer.geometry import scale_motion
from trainer.losses.normalisation import depth_weights, normalise_prediction
from trainer.losses.records import ClipGeometry, NormalisedTruth
from trainer.losses.scale_solver import evenly_chosen, positive, solve_scale
from trainer.losses.settings import GeometrySettings


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AlignedGeometry:
    """What π³'s losses compare, in the truth's normalised unit. Gradient flows to the network's points and cameras."""

    local_points: Tensor  # "B T H W 3": s* times the prediction of size 1
    camera_to_world: Tensor  # "B T 4 4", translations likewise
    weight: Tensor  # "B T H W": about 1 / true depth, 0 where no point is known
    solved_scale: Tensor  # "B": s*, detached
    scale: Tensor  # "B": from the network's unit to the normalised one, s* / N; N, the points' mean distance, carries gradient


def align_geometry(prediction: ClipGeometry, normalised: NormalisedTruth, settings: GeometrySettings) -> AlignedGeometry:
    """Normalise a prediction and scale it to the truth.

    s* minimises the sum of weight |s P^ - P*|_1 over up to `solver_points` valid pixels of all frames; detached, and turned positive.
    The division by the prediction's own size carries gradient.

    Raises: DataError if prediction and truth are of different sizes.
    """
    truth = normalised.truth
    if prediction.local_points.shape != truth.local_points.shape:
        raise DataError(f"predicted points are {list(prediction.local_points.shape)}, true ones {list(truth.local_points.shape)}")
    unit, norm = normalise_prediction(prediction, truth.valid)
    weight = depth_weights(truth.local_points[..., 2], truth.valid, settings.nearest_depth)
    places, chosen = evenly_chosen(truth.valid.flatten(1), settings.solver_points)
    x, y = (points.flatten(1, 3).gather(1, places[..., None].expand(-1, -1, 3)) for points in (unit.local_points, truth.local_points))
    solved = positive(solve_scale(x, torch.where(chosen[..., None], y, 0), weight.flatten(1).gather(1, places) * chosen))
    return AlignedGeometry(
        local_points=unit.local_points * solved[:, None, None, None, None],
        camera_to_world=scale_motion(unit.camera_to_world, solved),
        weight=weight,
        solved_scale=solved,
        scale=solved / norm,
    )
