"""TrajVG eq. (7) and L_cam: every frame's points, brought to the anchor camera, lie where the anchor's view or the truth says.

L_cam = sum of w [m rho(C_{t->x} sg p - target) + rho(sg C_{t->x} p - p-bar)].
"""

from torch import Tensor

from trainer.geometry import motion_to_anchor, transform_points
from trainer.losses.huber import huber
from trainer.losses.reduction import reduce_weighted, residual_where
from trainer.losses.settings import CouplingSettings


def pose_term(points: Tensor, camera_to_world: Tensor, target: Tensor, weight: Tensor, settings: CouplingSettings) -> Tensor:
    """First term of L_cam: sum of w m rho(C_{t->x} Hom(sg p) - sg target).

    Args:
        points: "B T N 3", p~ in each frame's camera; detached here.
        camera_to_world: "B T 4 4".
        target: "B T N 3" in the anchor camera, detached here: the truth p-bar, or p~_x of every track (see `anchor_targets`).
        weight: "B T N", w m.
    Returns:
        "B". Gradient flows to C_t and C_x, not from t = x; none to points.
    """
    moved = transform_points(motion_to_anchor(camera_to_world, settings.anchor), points.detach())
    residual = residual_where(weight, moved, target.detach())
    return reduce_weighted(huber(residual, settings.huber), weight, settings.reduction)


def point_term(points: Tensor, camera_to_world: Tensor, target: Tensor, weight: Tensor, settings: CouplingSettings) -> Tensor:
    """Second term of L_cam: sum of w rho(sg C_{t->x} Hom(p) - p-bar). No static mask: p-bar moves with the points.

    Args:
        points: "B T N 3": p~, so that the point maps learn (as printed), or p^, so that the tracks do (as the text has it).
        camera_to_world: "B T 4 4", detached here. target: "B T N 3", p-bar. weight: "B T N", w.
    Returns:
        "B". Gradient flows to `points` alone.
    """
    moved = transform_points(motion_to_anchor(camera_to_world.detach(), settings.anchor), points)
    residual = residual_where(weight, moved, target.detach())
    return reduce_weighted(huber(residual, settings.huber), weight, settings.reduction)


def anchor_targets(samples: Tensor, weight: Tensor, anchor: int) -> tuple[Tensor, Tensor]:
    """The target that needs no truth: each track's own sample in the anchor frame, sg p~_x, and the weight w_t w_x that goes with it.

    Args:
        samples: "B T N 3", p~. weight: "B T N". anchor: x.
    Returns:
        target "B T N 3", detached, and weight "B T N". At t = x the residual is zero, while the weight stays, and with it in the divisor.
    """
    target = samples.detach()[:, anchor, None].expand_as(samples)
    return target, weight * weight[:, anchor, None]
