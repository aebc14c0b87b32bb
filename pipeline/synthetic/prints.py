"""Procedural textures that show one thing and do not repeat: windows, doors, crates, posters, signs. sRGB in [0, 1], float32 "S S 3"."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.synthetic.noise import spectral_noise
from pipeline.synthetic.surfaces import Colour, planks


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """A line of text; centre (x, y) and height are shares of the image's side."""

    text: str
    centre: tuple[float, float]
    height: float
    colour: Colour
    opacity: float = 1.0


def window(rng: np.random.Generator, size: int, frame: Colour) -> np.ndarray:
    """A casement of two by three panes, with curtains behind and sky in the glass."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    streak = spectral_noise(rng, size, slope=1.8, stretch=(1, 2))
    glass = np.stack([0.16 + 0.20 * (1 - y), 0.20 + 0.25 * (1 - y), 0.25 + 0.32 * (1 - y)], axis=-1) * (1 + 0.22 * streak)[..., None]
    folds = 0.62 + 0.14 * np.sin(x * 70 + 2 * np.sin(5 * y))
    curtain = np.abs(x - 0.5) > 0.30 + 0.08 * np.sin(3 * y)
    glass = np.where(curtain[..., None], 0.35 * glass + 0.55 * folds[..., None] * np.array([0.80, 0.76, 0.68]), glass)
    across, along = np.abs((x - 0.04) / 0.92 * 2 % 1 - 0.5), np.abs((y - 0.03) / 0.94 * 3 % 1 - 0.5)
    border = (np.abs(x - 0.5) > 0.44) | (np.abs(y - 0.5) > 0.455)
    bar = (across > 0.455) | (along > 0.455) | border
    shade = np.where((across > 0.49) | (along > 0.49), 0.72, 1.0) * (1 + 0.06 * spectral_noise(rng, size, slope=1, coarsest=8))
    return np.where(bar[..., None], np.array(frame) * shade[..., None], glass).clip(0, 1).astype(np.float32)


def door(rng: np.random.Generator, size: int, colour: Colour) -> np.ndarray:
    """A panelled door with a knob."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    wood = planks(rng, size, colour, count=4)
    for left, right in ((0.13, 0.46), (0.54, 0.87)):
        for top, bottom in ((0.08, 0.38), (0.45, 0.62), (0.69, 0.93)):
            inside = np.minimum(np.minimum(x - left, right - x) * 1.0, np.minimum(y - top, bottom - y) * 2.0)
            wood = wood * np.where((inside > 0) & (inside < 0.022), 0.45, 1.0)[..., None]
            wood = wood * np.where((inside > 0.022) & (inside < 0.04), 1.22, 1.0)[..., None]
    rim = (np.abs(x - 0.5) > 0.47) | (y < 0.025)
    wood = wood * np.where(rim, 0.5, 1.0)[..., None]
    knob = np.hypot(x - 0.90, (y - 0.57) * 2) < 0.025
    return np.where(knob[..., None], np.array([0.86, 0.72, 0.34]), wood).clip(0, 1).astype(np.float32)


def crate(rng: np.random.Generator, size: int, colour: Colour, *, mark: str) -> np.ndarray:
    """A side of a wooden crate: boards, a frame, a brace, a stencilled mark."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    boards = planks(rng, size, colour, count=5).swapaxes(0, 1) * 0.8
    timber = planks(rng, size, colour, count=9)
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    brace = np.abs(x - y)
    framed = np.where((brace < 0.085)[..., None], timber * np.where(brace > 0.075, 0.4, 0.95)[..., None], boards)
    framed = np.where((edge < 0.13)[..., None], timber * np.where(edge > 0.118, 0.4, 1.1)[..., None], framed)
    return _lettered(framed, _Line(text=mark, centre=(0.36, 0.69), height=0.12, colour=(0.13, 0.11, 0.10), opacity=0.75))


def poster(rng: np.random.Generator, size: int, *, title: str) -> np.ndarray:
    """A printed bill: flat colour, a few shapes, a title and lines of small print; creased paper."""
    hues = rng.permutation(
        np.array([[0.80, 0.26, 0.18], [0.95, 0.76, 0.28], [0.12, 0.33, 0.47], [0.90, 0.86, 0.76], [0.14, 0.14, 0.18], [0.24, 0.50, 0.38]])
    )
    sheet = np.ascontiguousarray(np.broadcast_to(hues[0], (size, size, 3)).astype(np.float32))
    for hue in hues[1:4]:
        centre, radius = (size * rng.uniform(0.25, 0.7, 2)).astype(int).tolist(), int(size * rng.uniform(0.08, 0.24))
        cv2.circle(sheet, centre, radius, hue.tolist(), -1, cv2.LINE_AA)
        corners = (size * (np.array([0.5, 0.45]) + rng.uniform(-0.4, 0.3, (3, 2)))).astype(np.int32)
        cv2.fillPoly(sheet, [corners], rng.permutation(hues)[0].tolist(), cv2.LINE_AA)
    red, green, blue = hues[3] if abs(float(hues[3].mean() - hues[0].mean())) > 0.25 else 1 - hues[0]
    ink = (float(red), float(green), float(blue))
    sheet = _lettered(sheet, _Line(text=title, centre=(0.5, 0.83), height=0.12, colour=ink))
    for line in range(3):
        words = " ".join("".join(rng.choice(list("aceilmnorstuv"), rng.integers(2, 8))) for _ in range(5))
        sheet = _lettered(sheet, _Line(text=words, centre=(0.5, 0.905 + 0.028 * line), height=0.018, colour=ink))
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    rim = np.maximum(np.abs(x - 0.5), np.abs(y - 0.5)) > 0.48
    paper = np.where(rim[..., None], 0.92, sheet) * (1 + 0.05 * spectral_noise(rng, size, slope=1.4))[..., None]
    crease = 1 - 0.10 * (np.minimum(np.abs(x - 0.5), np.abs(y - 0.35)) < 0.004)
    return (paper * crease[..., None]).clip(0, 1).astype(np.float32)


def sign(rng: np.random.Generator, size: int, *, text: str, board: Colour, ink: Colour) -> np.ndarray:
    """A painted board with a border, a word, an ornament and worn paint."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    wood = planks(rng, size, (0.45, 0.32, 0.20), count=7)
    worn = (spectral_noise(rng, size, slope=1.3, coarsest=3) > 1.6)[..., None]
    paint = np.where(worn, wood, np.array(board) * (0.85 + 0.15 * wood / wood.mean()))
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    paint = np.where(((edge > 0.045) & (edge < 0.07))[..., None], np.array(ink), paint)
    paint = _lettered(paint, _Line(text=text, centre=(0.5, 0.66), height=0.17, colour=ink))
    petals = np.hypot(x - 0.5, y - 0.32) - 0.10 - 0.035 * np.cos(6 * np.arctan2(y - 0.32, x - 0.5))
    paint = np.where(((petals < 0) & (petals > -0.085))[..., None], np.array(ink), paint)
    return paint.clip(0, 1).astype(np.float32)


def stripes(rng: np.random.Generator, size: int, colours: tuple[Colour, Colour], *, count: int) -> np.ndarray:
    """Woven cloth with upright stripes."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    thread = 1 + 0.05 * np.sin(x * size * 0.9) * np.sin(y * size * 0.9) + 0.07 * spectral_noise(rng, size, slope=1.5)
    return (np.array(colours)[np.floor(x * count).astype(int) % 2] * thread[..., None]).clip(0, 1).astype(np.float32)


def ball(rng: np.random.Generator, size: int) -> np.ndarray:
    """The skin of a toy ball: coloured wedges, stars and scuffs. u runs around once, v from pole to pole."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    wedges = np.array(
        [[0.83, 0.20, 0.16], [0.95, 0.91, 0.82], [0.13, 0.36, 0.60], [0.97, 0.76, 0.22], [0.95, 0.91, 0.82], [0.16, 0.49, 0.36]]
    )
    skin = wedges[np.floor(x * 6).astype(int) % 6]
    skin = np.where((np.abs(y - 0.5) < 0.045)[..., None], np.array([0.12, 0.12, 0.15]), skin)
    around = (x * 12) % 1 - 0.5
    for row in (0.32, 0.68):
        angle, radius = np.arctan2((y - row) * 6, around), np.hypot(around, (y - row) * 6)
        star = radius < 0.20 + 0.09 * np.cos(5 * angle)
        skin = np.where(star[..., None], np.array([0.10, 0.14, 0.25]), skin)
    scuff = 1 - 0.22 * (spectral_noise(rng, size, slope=1.1, coarsest=5) > 1.7)
    return (skin * scuff[..., None] * (1 + 0.06 * spectral_noise(rng, size, slope=1.2))[..., None]).clip(0, 1).astype(np.float32)


def _lettered(image: np.ndarray, line: _Line) -> np.ndarray:
    """The image with a line printed on it, made smaller if it would not fit."""
    size, font = len(image), cv2.FONT_HERSHEY_DUPLEX
    (_, unit_height), _ = cv2.getTextSize("H", font, 4.0, 2)
    scale, stroke = 4.0 * line.height * size / unit_height, max(1, round(line.height * size / 14))
    (width, _), _ = cv2.getTextSize(line.text, font, scale, stroke)
    scale *= min(1, 0.86 * size / width)
    (width, height), _ = cv2.getTextSize(line.text, font, scale, stroke)
    start = (round(line.centre[0] * size - width / 2), round(line.centre[1] * size + height / 2))
    mask = np.zeros((size, size), np.uint8)
    cv2.putText(mask, line.text, start, font, scale, (255,), stroke, cv2.LINE_AA)
    share = mask[..., None] * np.float32(line.opacity / 255)
    return (1 - share) * image + share * np.array(line.colour, np.float32)
