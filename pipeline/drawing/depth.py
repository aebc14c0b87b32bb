"""Depth as colours: near is bright, far is dark, and grey is where no depth is known. One range for all frames of a clip."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.drawing.beside import BAR_HEIGHT, GAP, above_bar, beside, empty_bar
from pipeline.drawing.legend import Font, text_width, write_line
from pipeline.records.labels import DepthScale

NO_DEPTH = np.array([88, 90, 98], np.uint8)
_PERCENTILES = (2, 98)  # of the logarithm of depth: what lies beyond takes the ends' colours
_RAMP_WIDTH = 96
_FONT = Font(scale=0.42, colour=(160, 162, 170))
_UNITS = {"metric": " m", "relative": " x an unknown factor", "inverse": ", shape only"}
INVALID = "no depth"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthPictures:
    """Depth maps as colours, and the range that the colours span."""

    frames: np.ndarray  # uint8 "T H W 3", RGB
    near: float
    far: float

    def range_text(self, scale: DepthScale | None) -> str:
        """The range in words."""
        return f"{self.near:.3g} to {self.far:.3g}{_UNITS.get(scale or '', '')}"


def depth_pictures(depth: np.ndarray, shown: np.ndarray | None = None) -> DepthPictures:
    """Colours of depth maps "T H W"; what is not `shown` (bool, by default where depth is above 0) is grey."""
    shown = depth > 0 if shown is None else shown
    nearness = -np.log(np.where(depth > 0, depth, 1))
    low, high = np.percentile(nearness[shown], _PERCENTILES) if shown.any() else (0.0, 0.0)
    levels = np.clip(255 * (nearness - low) / max(high - low, np.finfo(np.float32).tiny), 0, 255).astype(np.uint8)
    pictures = np.where(shown[..., None], _table()[levels], NO_DEPTH)
    return DepthPictures(frames=pictures, near=float(np.exp(-high)), far=float(np.exp(-low)))


def beside_depth(frames: np.ndarray, pictures: DepthPictures, scale: DepthScale | None) -> np.ndarray:
    """Frames uint8 "T H W 3" with their depth beside them (below, where they are wide), and a legend under both."""
    together = beside(frames, pictures.frames)
    bar = empty_bar(together.shape[2])
    draw_depth_legend(bar, (GAP, BAR_HEIGHT - 10), _FONT, note=pictures.range_text(scale))
    return above_bar(together, bar)


def depth_legend_width(font: Font) -> int:
    """Pixels that the legend without a note takes across."""
    return text_width("near", font) + text_width("far", font) + text_width(INVALID, font) + _RAMP_WIDTH + 12 + 5 * GAP


def draw_depth_legend(image: np.ndarray, at: tuple[int, int], font: Font, *, note: str = "") -> None:
    """Draw what the colours mean into `image`, with the baseline's left end at `at` (x, y); cut at the image's right edge."""
    x, baseline = at
    room = image.shape[1] - GAP
    x += write_line(image, "near", (x, baseline), font, width=room - x) + GAP
    ramp = _table()[255 - np.arange(_RAMP_WIDTH) * 256 // _RAMP_WIDTH]
    ramp = ramp[: max(room - x, 0)]
    image[baseline - 11 : baseline + 1, x : x + len(ramp)] = ramp
    x += len(ramp) + GAP
    for text in ("far", note):
        if text and room - x > _RAMP_WIDTH // 4:
            x += write_line(image, text, (x, baseline), font, width=room - x) + GAP
    if room - x > 12 + text_width(INVALID, font):
        image[baseline - 11 : baseline + 1, x : x + 12] = NO_DEPTH
        write_line(image, INVALID, (x + 12 + GAP // 2, baseline), font)


def _table() -> np.ndarray:
    """uint8 "256 3", RGB, from dark to bright."""
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(table, cv2.COLOR_BGR2RGB))[:, 0]
