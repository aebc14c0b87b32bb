"""TrajVG eq. (6): point maps and tracks say the same place in space, w [rho(p~ - sg p^) + rho(p^ - sg p~)].

The first term is printed as rho(sg[p~] - p~), which is zero whatever the network does; the text below it ("updates the pointmap branch,
tracks detached") fixes the reading taken here.
"""

from torch import Tensor

from trainer.losses.huber import huber
from trainer.losses.reduction import reduce_weighted, residual_where
from trainer.losses.settings import CouplingSettings


def point_map_consistency(samples: Tensor, tracks: Tensor, weight: Tensor, settings: CouplingSettings) -> Tensor:
    """Term A of L_cons: sum of w rho(p~ - sg p^).

    Args:
        samples: "B T N 3", p~, the point maps at the tracks' pixels.
        tracks: "B T N 3", p^, of the tracker; detached here.
        weight: "B T N".
    Returns:
        "B". Gradient flows to the point maps, at the four pixels around each seen place; none to tracks or cameras.
    """
    residual = residual_where(weight, samples, tracks.detach())
    return reduce_weighted(huber(residual, settings.huber), weight, settings.reduction)


def track_consistency(samples: Tensor, tracks: Tensor, weight: Tensor, settings: CouplingSettings) -> Tensor:
    """Term B of L_cons: sum of w rho(p^ - sg p~). Arguments as for `point_map_consistency`, the samples detached here.

    Returns:
        "B". Gradient flows to the tracks alone. A tracker that reads the point maps must be fed them detached, or they would move with
        it in spite of the detached samples.
    """
    residual = residual_where(weight, tracks, samples.detach())
    return reduce_weighted(huber(residual, settings.huber), weight, settings.reduction)
