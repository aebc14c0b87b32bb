"""Brightness of a clip: dark, blank, and sudden changes of exposure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DARK_LEVEL = 32  # grey levels below which a pixel is dark
BLANK_STD = 8.0  # grey levels: a frame of a smaller spread shows nothing
_FLOOR = 8.0  # grey levels: in the dark, a step of one level is no jump


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameLuma:
    """Grey levels of one frame."""

    mean: float
    std: float
    dark_share: float


def frame_luma(grey: np.ndarray) -> FrameLuma:
    """Mean, standard deviation and share of dark pixels of one frame, uint8 "H W"."""
    return FrameLuma(mean=float(grey.mean()), std=float(grey.std()), dark_share=float((grey < DARK_LEVEL).mean()))


def blank_share(lumas: Sequence[FrameLuma]) -> float:
    """Share of the frames whose standard deviation is below 8 grey levels."""
    return float(np.mean([luma.std < BLANK_STD for luma in lumas])) if lumas else float("nan")


def exposure_step(lumas: Sequence[FrameLuma]) -> float:
    """max over t of |Y_t - Y_(t-1)| / max(Y_(t-1), 8), with Y the mean luma; NaN for a single frame."""
    if len(lumas) < 2:
        return float("nan")
    luma = np.array([luma.mean for luma in lumas])
    return float((np.abs(np.diff(luma)) / np.maximum(luma[:-1], _FLOOR)).max())
