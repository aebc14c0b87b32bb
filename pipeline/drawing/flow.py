"""Flow as colours: the hue is the direction, dark is at rest, and grey is where no flow is known. One range for all maps of a clip."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.drawing.beside import BAR_HEIGHT, GAP, above_bar, beside, empty_bar
from pipeline.drawing.legend import Font, text_width, write_line

NO_FLOW = np.array([88, 90, 98], np.uint8)
_PERCENTILE = 98  # of the vectors' lengths: what is longer is as bright
_WHEEL = 21  # pixels across
_FONT = Font(scale=0.42, colour=(160, 162, 170))
_TEXT, _INVALID = "colour: direction, brightness: distance", "no flow"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FlowPictures:
    """Maps of flow as colours, and the length that is brightest."""

    frames: np.ndarray  # uint8 "T H W 3", RGB
    longest_px: float

    def range_text(self) -> str:
        """The range in words."""
        return f"up to {self.longest_px:.3g} px"


def flow_pictures(flow: np.ndarray, valid: np.ndarray) -> FlowPictures:
    """Colours of flow "T H W 2"; what is not valid (bool "T H W") is grey."""
    lengths = np.linalg.norm(flow, axis=-1)
    longest = float(np.percentile(lengths[valid], _PERCENTILE)) if valid.any() else 0.0
    pictures = np.where(valid[..., None], _colours(flow, longest), NO_FLOW)
    return FlowPictures(frames=pictures, longest_px=longest)


def beside_flow(frames: np.ndarray, pictures: FlowPictures) -> np.ndarray:
    """Frames uint8 "T H W 3" with their flow beside them (below, where they are wide), and a legend under both."""
    together = beside(frames, pictures.frames)
    bar = empty_bar(together.shape[2])
    draw_flow_legend(bar, (GAP, BAR_HEIGHT - 10), _FONT, note=pictures.range_text())
    return above_bar(together, bar)


def flow_legend_width(font: Font) -> int:
    """Pixels that the legend without a note takes across."""
    return _WHEEL + text_width(_TEXT, font) + text_width(_INVALID, font) + 12 + 4 * GAP


def draw_flow_legend(image: np.ndarray, at: tuple[int, int], font: Font, *, note: str = "") -> None:
    """Draw what the colours mean into `image`, with the baseline's left end at `at` (x, y); cut at the image's right edge."""
    x, baseline = at
    room = image.shape[1] - GAP
    if room - x < _WHEEL:
        return
    y, across = np.mgrid[:_WHEEL, :_WHEEL] - _WHEEL // 2
    colours, radius = _colours(np.stack([across, y], -1).astype(np.float32), _WHEEL / 2), np.hypot(across, y)
    wheel = image[max(baseline - 15, 0) :, x : x + _WHEEL][:_WHEEL]
    wheel[:] = np.where((radius <= _WHEEL / 2)[: len(wheel), :, None], colours[: len(wheel)], wheel)
    x += _WHEEL + GAP
    for text in (_TEXT, note):
        if text and room - x > _WHEEL:
            x += write_line(image, text, (x, baseline), font, width=room - x) + GAP
    if room - x > 12 + text_width(_INVALID, font):
        image[baseline - 11 : baseline + 1, x : x + 12] = NO_FLOW
        write_line(image, _INVALID, (x + 12 + GAP // 2, baseline), font)


def _colours(flow: np.ndarray, longest: float) -> np.ndarray:
    """Vectors "... 2" as uint8 RGB "... 3": rightward is red, then with the clock yellow, green, blue."""
    hue = np.rint(np.arctan2(flow[..., 1], flow[..., 0]) / np.pi * 90) % 180
    value = np.clip(255 * np.linalg.norm(flow, axis=-1) / max(longest, np.finfo(np.float32).tiny), 0, 255)
    hsv = np.stack([hue, np.full_like(hue, 255), value], -1).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv.reshape(-1, 1, 3), cv2.COLOR_HSV2RGB)).reshape(*flow.shape[:-1], 3)
