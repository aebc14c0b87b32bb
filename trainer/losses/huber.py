"""rho: the Huber penalty of vectors, coordinate by coordinate."""

from torch import Tensor


def huber(residual: Tensor, delta: float) -> Tensor:
    """Sum over the last axis of a^2 / 2 where |a| <= delta, else delta (|a| - delta / 2).

    Args:
        residual: "... C".
        delta: in the residual's unit.
    Returns: "..."; the gradient is each coordinate clipped to [-delta, delta].
    Source: rho of TrajVG eq. (6) and (7); coordinates, and not the length, are ours.
    """
    inside = residual.clamp(-delta, delta)
    return (inside * (residual - inside / 2)).sum(-1)
