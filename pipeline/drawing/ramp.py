"""Colours that stay apart for colour-blind eyes: from bad (orange, dark) to good (cyan, light), evenly in OKLab."""

import numpy as np

NUM_LEVELS = 32
UNKNOWN = (128, 132, 140)
HIDDEN = (38, 41, 48)
_STOPS = ((0.6, 0.16, 0.12), (0.76, 0.025, 0.065), (0.91, -0.1, -0.075))  # lightness, green-red, blue-yellow
_TO_LMS = np.array([[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]])
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def ramp() -> np.ndarray:
    """uint8 "NUM_LEVELS 3", RGB; lightness grows evenly, so that it reads in grey too."""
    places = np.linspace(0, len(_STOPS) - 1, NUM_LEVELS)
    lab = np.stack([np.interp(places, np.arange(len(_STOPS)), channel) for channel in zip(*_STOPS, strict=True)], axis=-1)
    linear = np.clip((lab @ _TO_LMS.T) ** 3 @ _TO_RGB.T, 0, 1)
    gamma = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * gamma).astype(np.uint8)


def levels(values: np.ndarray) -> np.ndarray:
    """Entry of the ramp of each value in [0, 1], of any shape; what lies beyond takes the ends, NaN the lowest. uint8."""
    return np.rint(np.clip(np.nan_to_num(values, nan=0.0), 0, 1) * (NUM_LEVELS - 1)).astype(np.uint8)


def hexadecimal(colour: np.ndarray) -> str:
    """`#rrggbb`."""
    return "#" + bytes(int(channel) for channel in colour).hex()
