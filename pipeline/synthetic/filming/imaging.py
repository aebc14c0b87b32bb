"""The camera's effects on light: motion blur, exposure, lens, sensor noise, tone, and the compression of a careless recorder."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.errors import ConfigError
from pipeline.records.arrays import check_array
from pipeline.synthetic.filming.frames import LinearFrame

_TILE = 8  # pixels: how far a streak is noticed by its surroundings, and the coarseness of that
_LEAST_PX = 0.4  # shorter streaks are not visible
_LONGEST_PX = 16.0
_SOFT = np.float32(0.05)  # share of the depth within which two surfaces count as equally near


def blur_motion(radiance: np.ndarray, depth: np.ndarray, streaks_px: np.ndarray) -> np.ndarray:
    """Light as a shutter gathers it that opens around the frame's own moment.

    Args:
        radiance: float32 "H W 3", linear.
        depth: float32 "H W", 0 = sky: the farthest.
        streaks_px: float32 "H W 2", movement (x, y) while the shutter is open.
    Returns: float32 "H W 3".
    Source: McGuire, Hennessy, Bukowski, Osman: A reconstruction filter for plausible motion blur (I3D 2012), with
        hard weights; where neither streaks over the other, a pixel goes on seeing what it shows.
    """
    length = np.linalg.norm(streaks_px, axis=-1)
    scale = np.minimum(1, _LONGEST_PX / np.maximum(length, _LONGEST_PX)).astype(np.float32)
    streaks, length = streaks_px * scale[..., None], length * scale
    if length.max() < _LEAST_PX:
        return radiance
    along = _fastest_nearby(streaks, length)
    reach = np.linalg.norm(along, axis=-1)
    steps = int(np.clip(np.ceil(reach.max() / 1.5), 3, 12)) | 1
    far = np.where(depth > 0, depth, np.float32(1e6))
    height, width = depth.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    half, near, beyond = 0.5 * length + 0.5, far * (1 - _SOFT), far * (1 + _SOFT)
    half_far = np.stack([half, far], axis=-1)
    total = radiance.copy()
    for share in (np.arange(steps, dtype=np.float32) - steps // 2) / np.float32(steps):
        if share == 0:
            continue
        map_x, map_y = x + share * along[..., 0], y + share * along[..., 1]
        there = cv2.remap(half_far, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        away = np.abs(share) * reach
        passes_over = (there[..., 0] >= away) & (there[..., 1] <= beyond)  # what is there streaks over here
        uncovers = (half >= away) & (there[..., 1] >= near)  # what is here moves off what is there
        seen = passes_over | uncovers
        colour = cv2.remap(radiance, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        total += np.where(seen[..., None], colour, radiance)
    return total / np.float32(steps)


def _fastest_nearby(streaks: np.ndarray, length: np.ndarray) -> np.ndarray:
    """For each pixel the longest streak in its tile and the eight around it, "H W 2"."""
    height, width = length.shape
    rows, columns = -(-height // _TILE), -(-width // _TILE)
    pad = ((0, rows * _TILE - height), (0, columns * _TILE - width))
    tiles = np.pad(length, pad).reshape(rows, _TILE, columns, _TILE).swapaxes(1, 2).reshape(rows, columns, -1)
    vectors = np.pad(streaks, (*pad, (0, 0))).reshape(rows, _TILE, columns, _TILE, 2).swapaxes(1, 2).reshape(rows, columns, -1, 2)
    best = tiles.argmax(axis=2)[..., None]
    vector = np.take_along_axis(vectors, best[..., None], axis=2)[:, :, 0]
    size = np.take_along_axis(tiles, best, axis=2)[..., 0]
    around = [np.pad(size, 1)[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    shifted = [np.pad(vector, ((1, 1), (1, 1), (0, 0)))[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    winner = np.argmax(np.stack(around), axis=0)
    chosen = np.take_along_axis(np.stack(shifted), winner[None, ..., None], axis=0)[0]
    return np.repeat(np.repeat(chosen, _TILE, axis=0), _TILE, axis=1)[:height, :width]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Imaging:
    """One camera's way of recording a clip. It changes pixels, never the truth."""

    gain: np.ndarray  # float32 "T 3": exposure and white balance in each frame
    shutter: float = 0.0  # share of the frame interval during which light is gathered
    lens_blur_px: float = 0.0  # standard deviation of a soft lens
    vignette: float = 0.0  # share of light that the corners lack
    shot_noise: float = 0.0  # standard deviation at full light; falls with the root of the light
    read_noise: float = 0.0  # standard deviation in the dark
    saturation: float = 1.0  # 0 is grey
    contrast: float = 1.0
    jpeg_quality: int | None = None  # of a compression between camera and shard
    detail: float = 1.0  # share of the resolution that survives the recorder's scaling down and up again

    def __post_init__(self) -> None:
        check_array("gain", self.gain, "float32", (None, 3))
        shares = {"shutter": self.shutter, "vignette": self.vignette}
        if wrong := [name for name, share in shares.items() if not 0 <= share <= 1]:
            raise ConfigError(f"{wrong[0]} is {shares[wrong[0]]}, expected a share in [0, 1]")
        if not 0 < self.detail <= 1 or not (self.jpeg_quality is None or 1 <= self.jpeg_quality <= 100):
            raise ConfigError(f"detail {self.detail} must lie in (0, 1], jpeg_quality {self.jpeg_quality} in 1..100")


def develop(image: LinearFrame, imaging: Imaging, frame: int, *, rng: np.random.Generator) -> np.ndarray:
    """One frame as the camera records it, uint8 "H W 3" sRGB. The generator draws the sensor's noise."""
    light = image.radiance
    if imaging.shutter > 0:
        light = blur_motion(light, image.depth, image.motion_px * np.float32(imaging.shutter))
    if imaging.lens_blur_px > 0:
        light = cv2.GaussianBlur(light, (0, 0), imaging.lens_blur_px)
    light = light * imaging.gain[frame]
    if imaging.vignette > 0:
        light = light * _vignette(light.shape[:2], imaging.vignette)[..., None]
    if imaging.shot_noise > 0 or imaging.read_noise > 0:
        spread = np.sqrt(np.float32(imaging.shot_noise) ** 2 * light + np.float32(imaging.read_noise) ** 2)
        light = np.maximum(light + spread * rng.standard_normal(light.shape, dtype=np.float32), 0)
    return _recorded(_toned(light, imaging), imaging)


def _toned(light: np.ndarray, imaging: Imaging) -> np.ndarray:
    """Linear light to sRGB bytes with a film-like shoulder. Source: K. Narkowicz, ACES filmic tone mapping curve (2015)."""
    film = np.clip(light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14), 0, 1)
    film = np.sqrt(np.sqrt(film)) ** np.float32(4 / 2.2)
    if imaging.saturation != 1:
        grey = film.mean(axis=-1, keepdims=True)
        film = grey + np.float32(imaging.saturation) * (film - grey)
    if imaging.contrast != 1:
        film = np.float32(0.5) + np.float32(imaging.contrast) * (film - np.float32(0.5))
    return np.round(255 * np.clip(film, 0, 1)).astype(np.uint8)


def _recorded(image: np.ndarray, imaging: Imaging) -> np.ndarray:
    height, width = image.shape[:2]
    if imaging.detail < 1:
        small = (max(2, round(width * imaging.detail)), max(2, round(height * imaging.detail)))
        image = cv2.resize(cv2.resize(image, small, interpolation=cv2.INTER_AREA), (width, height), interpolation=cv2.INTER_LINEAR)
    if imaging.jpeg_quality is not None:
        _, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, imaging.jpeg_quality])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1]
    return image


def _vignette(shape: tuple[int, int], strength: float) -> np.ndarray:
    """Factor on the light, 1 in the middle, 1 - strength in the corners; float32 "H W"."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    square = ((x - (width - 1) / 2) ** 2 + (y - (height - 1) / 2) ** 2) / np.float32(((width - 1) ** 2 + (height - 1) ** 2) / 4)
    return 1 - np.float32(strength) * square
