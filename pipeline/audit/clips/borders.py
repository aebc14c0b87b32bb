"""Black bars around the picture. Judge them after dark and blank clips are out: a dark clip reads as all bar."""

from dataclasses import dataclass

import numpy as np

from pipeline.audit.clips.small import PixelStatistics

_BAR_LEVEL = 24.0  # grey levels
_BAR_STD = 3.0  # grey levels over time


@dataclass(frozen=True, kw_only=True, slots=True)
class Borders:
    """Bars as shares of the height (top, bottom) or the width (left, right)."""

    top: float
    bottom: float
    left: float
    right: float

    @property
    def share(self) -> float:
        """Share of the picture's area under bars."""
        return 1.0 - (1.0 - self.top - self.bottom) * (1.0 - self.left - self.right)


def find_borders(statistics: PixelStatistics) -> Borders:
    """Rows and columns from the edge inwards whose mean never reaches 24 and whose pixels vary by less than 3 over time.

    A row's variation is the mean over its pixels of their standard deviation. All NaN for a single frame, and where everything is bar.
    """
    nothing = Borders(top=float("nan"), bottom=float("nan"), left=float("nan"), right=float("nan"))
    if statistics.num_frames < 2:
        return nothing
    std = statistics.std()
    rows = (statistics.row_max < _BAR_LEVEL) & (std.mean(axis=1) < _BAR_STD)
    columns = (statistics.column_max < _BAR_LEVEL) & (std.mean(axis=0) < _BAR_STD)
    if rows.all() or columns.all():
        return nothing
    return Borders(top=_leading(rows), bottom=_leading(rows[::-1]), left=_leading(columns), right=_leading(columns[::-1]))


def _leading(flags: np.ndarray) -> float:
    """Share of the flags before the first that is not set."""
    return float(np.argmin(flags) / len(flags))
