"""Rolling credits: everything that is not black moves up or down as one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.audit.clips.camera import MIN_CORNERS, FollowedCorners
from pipeline.audit.clips.small import known_median


@dataclass(frozen=True, kw_only=True, slots=True)
class TextFlow:
    """Motion of the textured points from one frame to the next, in pixels; medians over the steps of a clip."""

    vertical_std: float
    vertical_mean: float  # absolute value
    horizontal_mean: float  # absolute value


def step_flow(corners: FollowedCorners, scale: float) -> TextFlow:
    """One step. NaN with fewer than 8 corners found again.

    Args:
        scale: from the corners' pixels to those of a long side of 256.
    """
    if len(corners.starts_px) < MIN_CORNERS:
        return TextFlow(vertical_std=float("nan"), vertical_mean=float("nan"), horizontal_mean=float("nan"))
    horizontal, vertical = scale * corners.steps_px.T
    return TextFlow(
        vertical_std=float(vertical.std()), vertical_mean=abs(float(vertical.mean())), horizontal_mean=abs(float(horizontal.mean()))
    )


def text_flow(steps: Sequence[TextFlow]) -> TextFlow:
    """Medians over the steps that are known; NaN if none is."""
    table = np.array([(step.vertical_std, step.vertical_mean, step.horizontal_mean) for step in steps], np.float64).reshape(-1, 3)
    std, vertical, horizontal = (known_median(column) for column in table.T)
    return TextFlow(vertical_std=std, vertical_mean=vertical, horizontal_mean=horizontal)
