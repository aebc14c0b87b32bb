"""Style of drawn tracks: sizes by the image and the number of tracks, colours of queries, and a ramp from bad to good."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.records.arrays import check_array

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
NUM_COLOURS = 48  # few enough that all tails of one colour are drawn in one call
_HUE_RANGE_DEGREES = 310  # short of the full circle, so that top and bottom of the image differ


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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackColours:
    """Colours of the N tracks of one clip, from a table with few entries, such as a ramp of weights."""

    table: np.ndarray  # uint8 "K 3", RGB
    entries: np.ndarray  # int "N": row of the table

    def __post_init__(self) -> None:
        check_array("table", self.table, "uint8", (None, 3))
        if self.entries.size and not (self.entries.min() >= 0 and self.entries.max() < len(self.table)):
            raise DataError(f"colours {self.entries.min()} to {self.entries.max()} of a table of {len(self.table)}; expected its rows")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackStyle:
    """Lengths are pixels of the drawn image."""

    tail_frames: int = 10  # how many past frames a tail shows; 0 for none
    tail_opacity: float = 0.9  # of its newest part; it fades to nothing with age
    radius: float | None = None  # of a point; None: from the image's size and the number of tracks
    colours: TrackColours | None = None  # of the clip's tracks; None: a rainbow by the query's place

    def __post_init__(self) -> None:
        if self.tail_frames < 0:
            raise ConfigError(f"a tail of {self.tail_frames} frames; expected 0 or more")
        if not 0 <= self.tail_opacity <= 1:
            raise ConfigError(f"a tail opacity of {self.tail_opacity}; expected 0 to 1")
        if self.radius is not None and not 0.5 <= self.radius <= 200:
            raise ConfigError(f"a point radius of {self.radius} pixels; expected 0.5 to 200")

    def radius_for(self, height: int, width: int, num_tracks: int) -> float:
        """Radius of a point: 0.8 % of the image's side, less where tracks stand so close that points would touch."""
        if self.radius is not None:
            return self.radius
        side = float(np.sqrt(height * width))
        spacing = side / np.sqrt(max(1, num_tracks))
        return float(max(1.4, min(0.008 * side, 0.17 * spacing)))

    def colours_for(self, queries: np.ndarray, height: int, width: int) -> TrackColours:
        """Colours of the tracks of queries "N 3". Raises DataError if the style's are those of another number of tracks."""
        if self.colours is None:
            return TrackColours(table=palette(), entries=colour_indices(queries, height, width))
        if len(self.colours.entries) != len(queries):
            raise DataError(f"colours of {len(self.colours.entries)} tracks, the labels have {len(queries)}; they are not of one clip")
        return self.colours


def palette() -> np.ndarray:
    """uint8 "NUM_COLOURS 3", RGB: a bright rainbow."""
    hsv = np.empty((1, NUM_COLOURS, 3), np.float32)
    hsv[0, :, 0] = np.linspace(0, _HUE_RANGE_DEGREES, NUM_COLOURS)
    hsv[0, :, 1], hsv[0, :, 2] = 0.7, 1.0
    return np.rint(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0] * 255).astype(np.uint8)


def colour_indices(queries: np.ndarray, height: int, width: int) -> np.ndarray:
    """Palette entry of each query "N 3", int "N": a rainbow down the image, slanted, so that neighbours are alike in colour."""
    place = 0.3 * (queries[:, 1] + 0.5) / width + 0.7 * (queries[:, 2] + 0.5) / height
    return np.clip((place * NUM_COLOURS).astype(int), 0, NUM_COLOURS - 1)
