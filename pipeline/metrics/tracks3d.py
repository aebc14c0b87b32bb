"""Tracks in space as the metrics take them, in either order of axes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tracks3d:
    """N points over T frames. Camera or world coordinates, metres or any unit: as the metric that takes them asks for."""

    positions: npt.NDArray[np.floating[Any]]  # float64 "T N 3" (other floats are converted); a truth may hold NaN where nothing is visible
    visible: npt.NDArray[np.bool_]  # bool "T N"
    valid: npt.NDArray[np.bool_] | None = None  # bool "T N", of a truth: False where nothing is known, nor judged; None: all known

    def __post_init__(self) -> None:
        object.__setattr__(self, "positions", np.asarray(self.positions, np.float64))
        shape = self.visible.shape
        masks = [self.visible] if self.valid is None else [self.visible, self.valid]
        if len(shape) != 2 or self.positions.shape != (*shape, 3) or any(mask.dtype != bool or mask.shape != shape for mask in masks):
            found = ", ".join(f"{mask.dtype}{list(mask.shape)}" for mask in masks)
            raise DataError(
                f"positions are {list(self.positions.shape)} with visible (and valid) {found}; expected [T, N, 3] and bool[T, N]"
            )

    @classmethod
    def of_tracks(cls, positions: np.ndarray, visible: np.ndarray, valid: np.ndarray | None = None) -> "Tracks3d":
        """From arrays in the benchmarks' order: "N T 3", "N T", "N T"."""
        return cls(
            positions=np.swapaxes(positions, 0, 1),
            visible=np.swapaxes(visible, 0, 1),
            valid=None if valid is None else np.swapaxes(valid, 0, 1),
        )

    @property
    def evaluated(self) -> np.ndarray:
        """bool "T N": where this truth can judge."""
        return np.ones(self.visible.shape, bool) if self.valid is None else self.valid


def check_comparable(truth: Tracks3d, prediction: Tracks3d) -> None:
    """Raises: DataError unless both are of the same frames and tracks, the prediction finite, and the truth finite where it is seen."""
    if truth.visible.shape != prediction.visible.shape:
        raise DataError(
            f"the prediction is [T, N] = {list(prediction.visible.shape)}, the truth {list(truth.visible.shape)};"
            " give both for the same frames and tracks"
        )
    seen = truth.visible & truth.evaluated
    for name, bad in (
        ("predicted", ~np.isfinite(prediction.positions).all(axis=-1)),
        ("true", ~np.isfinite(truth.positions).all(axis=-1) & seen),
    ):
        if bad.any():
            frame, track = np.argwhere(bad)[0]
            raise DataError(
                f"frame {frame}, track {track}: the {name} position is not finite, like {bad.sum() - 1} more;"
                " a prediction is finite everywhere, a truth where it is visible"
            )
