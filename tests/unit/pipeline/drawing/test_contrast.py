"""No symbol vanishes, whatever is below it: contrast as the web's accessibility guidelines define it (WCAG 2, 3 : 1 for graphics)."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.drawing import TrackStyle, draw_frame
from pipeline.drawing.style import palette, ramp
from pipeline.drawing.tracks import stamp_cross, stamp_disc, stamp_ring
from pipeline.records import TrackLabels

COLOURS = np.concatenate([palette(), ramp()])
GROUNDS = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "light grey": (190, 190, 190)}
RADII = (1.4, 2.0, 5.0)
PLACES = [(20.0, 20.0), (20.5, 20.0), (20.5, 20.5), (20.3, 19.8)]
LEAST = 3.0
Stamp = Callable[[np.ndarray, np.ndarray, np.ndarray, float], None]
STAMPS: dict[str, Stamp] = {
    "disc": lambda image, place, colour, radius: stamp_disc(image, place, colour, radius=radius),
    "ring": lambda image, place, colour, radius: stamp_ring(image, place, colour, radius=radius),
    "cross": lambda image, place, _, radius: stamp_cross(image, place, radius=radius),
}


def luminance(pixels: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB pixels "... 3", by the guidelines' formula."""
    share = np.asarray(pixels, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def contrast(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    high, low = np.maximum(luminance(first), luminance(second)), np.minimum(luminance(first), luminance(second))
    return (high + 0.05) / (low + 0.05)


def stamped(name: str, ground: np.ndarray, colour: np.ndarray, place: tuple[float, float], radius: float) -> np.ndarray:
    image = np.full((40, 40, 3), ground, np.uint8)
    STAMPS[name](image, np.array(place), colour, radius)
    return image


def least_contrast(name: str, radius: float, ground: Callable[[np.ndarray], np.ndarray]) -> float:
    """Over all colours and places: how much the symbol's most visible pixel differs from what is around it."""
    found = [
        contrast(stamped(name, ground(colour), colour, place, radius), ground(colour)).max() for colour in COLOURS[::5] for place in PLACES
    ]
    return min(found)


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("name", STAMPS)
def test_a_symbol_stands_out_on_any_ground(name: str, radius: float) -> None:
    found = {title: least_contrast(name, radius, lambda _, shade=shade: np.array(shade)) for title, shade in GROUNDS.items()}
    found["its own colour"] = least_contrast(name, radius, lambda colour: colour)
    assert {title: value for title, value in found.items() if value < LEAST} == {}


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("name", ["disc", "ring"])
def test_the_colour_itself_is_parted_from_a_ground_of_the_same_colour_on_every_side(name: str, radius: float) -> None:
    colour = ramp()[-1]
    image = stamped(name, colour, colour, (20.0, 20.0), radius)
    edge = contrast(image, colour) >= LEAST
    for line in (edge[20, :20], edge[20, 21:], edge[:20, 20], edge[21:, 20]):
        assert line.any()


@pytest.mark.parametrize("ground", [*GROUNDS.values(), tuple(int(channel) for channel in palette()[0])])
def test_a_line_stands_out_along_its_newest_part(ground: tuple[int, int, int]) -> None:
    path = np.stack([4 + 5 * np.arange(8), np.full(8, 20)], axis=-1).astype(np.float32)[:, None]
    labels = TrackLabels(queries=np.array([[0, *path[0, 0]]], np.float32), tracks_px=path, visibility=np.ones((8, 1), bool))
    drawn = draw_frame(np.full((40, 60, 3), ground, np.uint8), labels, 7, style=TrackStyle(radius=2.0))
    for column in range(28, 36):  # between the last point's outline and the older half
        assert contrast(drawn[14:27, column], np.array(ground)).max() >= 2.0
