"""All textures of a scene in one image with its pyramid, looked up with trilinear filtering so that nothing flickers in the distance."""

from collections.abc import Sequence

import cv2
import numpy as np

_ROW = 1024  # look-ups are handed to OpenCV as an image of this width (its sides must stay below 32767)


class TextureAtlas:
    """Textures repeat in both directions. Stored in 8 bits at gamma 2, so that a square makes them linear."""

    def __init__(self, textures: Sequence[np.ndarray]) -> None:
        """Build the pyramids of equally large square textures, uint8 "S S 3" in sRGB."""
        size = textures[0].shape[0]
        sizes = [size]
        while sizes[-1] > 1:
            sizes.append(sizes[-1] // 2)
        self._sizes = np.array(sizes, np.float32)
        self._tops = np.cumsum([0] + [side + 2 for side in sizes[:-1]]).astype(np.float32)  # each level has a border that repeats
        self._column = np.float32(size + 2)
        self._image = np.concatenate([_pyramid(texture, sizes) for texture in textures], axis=1)

    def sample(self, texture: np.ndarray, uv_tiles: np.ndarray, footprint_tiles: np.ndarray) -> np.ndarray:
        """Colours at N places, linear RGB float32 "N 3".

        Args:
            texture: int "N", which texture.
            uv_tiles: float32 "N 2", 1 is one repeat.
            footprint_tiles: float32 "N", side of the square to average over.
        """
        level = np.log2(np.maximum(footprint_tiles * self._sizes[0], 1))
        level = np.minimum(level, np.float32(len(self._sizes) - 1.001))
        fine = level.astype(np.intp)
        share = (level - fine)[:, None]
        wrapped = uv_tiles - np.floor(uv_tiles)
        left = texture.astype(np.float32) * self._column
        colour = (1 - share) * self._level(fine, wrapped, left) + share * self._level(fine + 1, wrapped, left)
        return np.square(colour * np.float32(1 / 255))

    def blended(self, texture: np.ndarray, places: np.ndarray, footprint_tiles: np.ndarray) -> np.ndarray:
        """Colours of `sample`, for places as planes "2 N" (u, v) and with colours as planes, float32 "3 N": twice as fast."""
        level = self._level_of(footprint_tiles)
        fine = level.astype(np.intp)
        share = level - fine
        left = texture.astype(np.float32) * self._column
        places = places - np.floor(places)
        lower, upper = self._planes(fine, places, left), self._planes(fine + 1, places, left)
        return np.square((lower + share * (upper - lower)) * np.float32(1 / 255))

    def nearest_level(self, texture: int, places: np.ndarray, footprint_tiles: np.ndarray) -> np.ndarray:
        """Colours of one texture from its nearest level only, for patterns of little contrast; planes as in `blended`."""
        level = np.round(self._level_of(footprint_tiles)).astype(np.intp)
        left = np.full(places.shape[1], texture * self._column)
        return np.square(self._planes(level, places - np.floor(places), left) * np.float32(1 / 255))

    def _level_of(self, footprint_tiles: np.ndarray) -> np.ndarray:
        return np.minimum(np.log2(np.maximum(footprint_tiles * self._sizes[0], 1)), np.float32(len(self._sizes) - 1.001))

    def _planes(self, level: np.ndarray, wrapped: np.ndarray, left: np.ndarray) -> np.ndarray:
        colours = self._looked_up(*(wrapped * self._sizes[level] + np.stack([left + 0.5, self._tops[level] + np.float32(0.5)])))
        return np.ascontiguousarray(colours.T, np.float32)

    def _level(self, level: np.ndarray, wrapped: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Bilinear look-up in one level each; texel centres are at +0.5, and the border adds one texel."""
        size = self._sizes[level]
        x, y = wrapped[:, 0] * size + (left + 0.5), wrapped[:, 1] * size + (self._tops[level] + 0.5)
        return self._looked_up(x, y)

    def _looked_up(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        rows = -(-len(x) // _ROW)
        maps = np.zeros((2, rows * _ROW), np.float32)
        maps[0, : len(x)], maps[1, : len(x)] = x, y
        map_x, map_y = maps.reshape(2, rows, _ROW)
        return cv2.remap(self._image, map_x, map_y, cv2.INTER_LINEAR).reshape(-1, 3)[: len(x)]


def _pyramid(texture: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Levels below each other, averaged in linear light, each with a border of one texel from the opposite side."""
    linear = (texture.astype(np.float32) / 255) ** 2.2
    column = []
    for size in sizes:
        level = cv2.resize(linear, (size, size), interpolation=cv2.INTER_AREA)
        encoded = np.round(255 * np.sqrt(level)).astype(np.uint8)
        wrapped = np.pad(encoded, ((1, 1), (1, 1), (0, 0)), mode="wrap")
        column.append(np.pad(wrapped, ((0, 0), (0, sizes[0] - size), (0, 0))))
    return np.concatenate(column)
