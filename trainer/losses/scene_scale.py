"""The size of a scene that no truth holds: without it, every self-supervised residual vanishes as the scene shrinks to a point."""

from torch import Tensor

from trainer.geometry import masked_mean
from trainer.losses.consistency import point_map_consistency
from trainer.losses.settings import CouplingSettings


def scene_scale(samples: Tensor, weight: Tensor) -> Tensor:
    """N = mean of |p~| over what is seen, "B"; 1 for a clip that sees nothing. Gradient flows to the samples; callers detach.

    Args:
        samples: "B T N 3". weight: "B T N".
    """
    seen = weight > 0
    distance = samples.where(seen[..., None], samples.new_ones(())).norm(dim=-1)
    return masked_mean(distance, seen) + (~seen.flatten(1).any(1)).to(samples.dtype)


def normalised_point_map_consistency(samples: Tensor, tracks: Tensor, weight: Tensor, settings: CouplingSettings) -> Tensor:
    """Term A of L_cons over a scene of size 1: sum of w rho(p~ / N - sg[p^ / N]).

    Dividing by a constant N makes the value, but not the gradient, independent of the scene's size: p~ would be drawn towards a p^ held
    fixed, and on average to smaller scenes. With settings.scale_gradient "invariant" gradient flows through N as well, so that the
    gradient along a common factor of all of p~ is exactly zero; "detached" takes N as a constant.

    Returns: "B". Gradient flows to the point maps alone.
    """
    scale = scene_scale(samples, weight)[:, None, None, None]
    divisor = scale if settings.scale_gradient == "invariant" else scale.detach()
    return point_map_consistency(samples / divisor, tracks / scale.detach(), weight, settings)
