"""Lines of text on an image, never wider than their place."""

from dataclasses import dataclass

import cv2
import numpy as np

_ELLIPSIS = "..."


@dataclass(frozen=True, kw_only=True, slots=True)
class Font:
    """One way of writing; `scale` 0.5 gives capitals about 11 pixels high."""

    scale: float = 0.5
    colour: tuple[int, int, int] = (235, 235, 238)
    face: int = cv2.FONT_HERSHEY_SIMPLEX


def text_width(text: str, font: Font) -> int:
    """Pixels that the text takes across."""
    return int(cv2.getTextSize(text, font.face, font.scale, 1)[0][0])


def elided(text: str, width: int, font: Font) -> str:
    """The text, shortened in its middle if it is wider than `width` pixels: ends of keys tell clips apart. May be empty."""
    if text_width(text, font) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        head = (kept + 1) // 2
        shorter = text[:head] + _ELLIPSIS + text[len(text) - (kept - head) :]
        if text_width(shorter, font) <= width:
            return shorter
    return ""


def write_line(image: np.ndarray, text: str, at: tuple[int, int], font: Font, *, width: int | None = None) -> int:
    """Write into `image` with the baseline's left end at `at` (x, y), within `width` (or up to the image's edge). Gives the width taken."""
    shown = elided(text, image.shape[1] - at[0] if width is None else width, font)
    cv2.putText(image, shown, at, font.face, font.scale, font.colour, 1, cv2.LINE_AA)
    return text_width(shown, font)


def write_tag(image: np.ndarray, text: str, font: Font) -> None:
    """Write into the image's lower left corner, on a darkened ground; left out where it does not fit."""
    height, width = image.shape[:2]
    taken = text_width(text, font)
    tag_height, pad = round(44 * font.scale), 5
    if taken + 2 * pad > width or tag_height > height:
        return
    ground = image[height - tag_height :, : taken + 2 * pad]
    ground[:] = ground // 3
    write_line(image, text, (pad, height - round(14 * font.scale)), font)
