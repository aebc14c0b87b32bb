"""Drawing colours: bright and clean, or earthy and dull. sRGB in [0, 1]."""

import colorsys

import numpy as np

from pipeline.synthetic.surfaces import Colour

_GOLDEN = 0.381966  # share of the colour circle between two hues that stand apart


def clean_colours(rng: np.random.Generator, count: int) -> list[Colour]:
    """Saturated colours whose hues stand apart."""
    hue = rng.random()
    saturations, values = rng.uniform(0.35, 0.75, count).tolist(), rng.uniform(0.55, 0.95, count).tolist()
    return [colorsys.hsv_to_rgb((hue + _GOLDEN * i) % 1, saturations[i], values[i]) for i in range(count)]


def pale_colour(rng: np.random.Generator) -> Colour:
    """Nearly white, of any hue."""
    return colorsys.hsv_to_rgb(rng.random(), float(rng.uniform(0.03, 0.22)), float(rng.uniform(0.78, 0.95)))


def earthy_colours(rng: np.random.Generator, count: int) -> list[Colour]:
    """Browns, olives, greys and slate blues, from dark to middling."""
    hues = rng.choice([0.04, 0.08, 0.11, 0.2, 0.28, 0.58], count) + rng.normal(0, 0.015, count)
    values = np.sort(rng.uniform(0.18, 0.68, count))
    saturations = rng.uniform(0.08, 0.5, count)
    return [colorsys.hsv_to_rgb(*hsv) for hsv in zip((hues % 1).tolist(), saturations.tolist(), values.tolist(), strict=True)]
