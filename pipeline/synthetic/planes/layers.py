"""Flat textured layers: their paths, outlines and textures, standing before a moving camera or flying about."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.errors import DataError

SHUTTER = (-0.3, 0.0, 0.3)  # sub-exposures, in frames around the frame's own time
FRAME_TIME = len(SHUTTER) // 2  # the sub-exposure at the frame's own time
_HEIGHT, _WIDTH = 240, 320  # the image for which lengths in pixels are given
_NEAREST = 0.2  # of a layer's depth: the camera comes no nearer


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layer:
    """A flat, textured thing; `canvas_to_image` is sampled at every frame and at every sub-exposure."""

    texture: np.ndarray  # float32 "h w 3", 0..255
    alpha: np.ndarray  # float32 "h w", 0..1
    canvas_to_image: np.ndarray  # float64 "T S 3 3": S sub-exposures, the middle one is the frame's own time
    moves: bool  # by itself, not only on the screen

    def at(self, frame: int) -> np.ndarray:
        """Homography of a frame's own time, float64 "3 3"."""
        return np.asarray(self.canvas_to_image[frame, FRAME_TIME])


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerView:
    """The image that the layers are drawn for."""

    height: int
    width: int
    num_frames: int

    @property
    def unit(self) -> float:
        """By how much lengths in pixels are longer than in an image of 240 x 320; a texture's grain does not scale."""
        return min(self.height / _HEIGHT, self.width / _WIDTH)

    @property
    def margin(self) -> int:
        """Pixels of a standing layer's canvas beyond each side of the image."""
        return round(200 * self.unit)


def smooth_path(rng: np.random.Generator, num_frames: int, amplitude: float, *, speed: float) -> np.ndarray:
    """A drift of about `speed` per frame to one side or the other plus slow swings of about `amplitude`: float64 "T S"."""
    t = np.arange(num_frames)[:, None] + np.array(SHUTTER)
    swings = sum(rng.normal() * np.sin(2 * np.pi * t / rng.uniform(20, 70) + rng.uniform(0, 2 * np.pi)) for _ in range(3))
    return np.asarray(amplitude * swings / np.sqrt(3) + speed * rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0) * t)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlaneCamera:
    """A camera before standing layers, at every frame and sub-exposure."""

    rotation: np.ndarray  # float64 "T S 3 3"
    position: np.ndarray  # float64 "T S 3"; the scene's nearest standing layer is 1 away
    intrinsics: np.ndarray  # float64 "T S 3 3"


def camera_path(rng: np.random.Generator, view: LayerView) -> PlaneCamera:
    """A hand that turns, sways, walks and zooms a little."""
    num_frames = view.num_frames
    yaw, pitch, roll = (smooth_path(rng, num_frames, angle, speed=0.0) for angle in (0.05, 0.035, 0.05))
    position = np.stack(
        [smooth_path(rng, num_frames, sway, speed=speed) for sway, speed in ((0.06, 0.004), (0.04, 0.002), (0.05, 0.002))], axis=-1
    )
    focal = 300 * view.unit * np.exp(smooth_path(rng, num_frames, 0.04, speed=0.001))
    intrinsics = np.zeros((*focal.shape, 3, 3))
    intrinsics[..., 0, 0] = intrinsics[..., 1, 1] = focal
    intrinsics[..., 0, 2], intrinsics[..., 1, 2], intrinsics[..., 2, 2] = (view.width - 1) / 2, (view.height - 1) / 2, 1
    rotation = np.array(
        [[cv2.Rodrigues(np.array(angles))[0] for angles in zip(*row, strict=True)] for row in zip(pitch, yaw, roll, strict=True)]
    )
    return PlaneCamera(rotation=rotation, position=position - position[:1, :1], intrinsics=intrinsics)


def noise_texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Coloured noise of several octaves with hard-edged blots, float32 "height width 3", 0 to 255.

    The contrast differs from place to place, down to almost none.
    """
    image = np.zeros((height, width, 3), np.float32)
    for scale, weight in ((2, 6), (4, 9), (9, 13), (24, 16), (60, 18)):
        small = rng.normal(size=(height // scale + 2, width // scale + 2, 3)).astype(np.float32)
        small += 1.5 * small.mean(axis=2, keepdims=True)  # mostly grey, as photographs are
        image += weight * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    image += 125
    for _ in range(height * width // 4_000):
        centre, axes = rng.uniform((0, 0), (width, height)), rng.uniform(3, 16, 2)
        colour = rng.uniform(50, 205, 3)
        cv2.ellipse(
            image, centre.astype(int).tolist(), axes.astype(int).tolist(), rng.uniform(0, 180), 0, 360, colour.tolist(), -1, cv2.LINE_AA
        )
    rough = rng.normal(size=(height // 40 + 2, width // 40 + 2)).astype(np.float32)
    contrast = 1 / (1 + np.exp(-2 * cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)))
    return np.clip(125 + (image - 125) * np.clip(contrast, 0.03, 1)[..., None], 0, 255)


def blob(rng: np.random.Generator, height: int, width: int, size: float) -> np.ndarray:
    """A smooth closed outline about the middle, filled: float32 "height width", 1 inside; `size` is its share of the canvas."""
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    radius = np.ones(len(angle))
    for k in (2, 3, 4, 5):
        radius += rng.uniform(0, 0.3 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    outline = np.stack([np.cos(angle) * width, np.sin(angle) * height], axis=1) * (size / 2 * radius / radius.max())[:, None]
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [np.round((outline + (width / 2, height / 2)) * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    return mask


def homography_world(rng: np.random.Generator, view: LayerView, camera: PlaneCamera) -> list[Layer]:
    """One wall: all that stands still moves by one homography."""
    shape = _canvas(view)
    return [_standing_layer(noise_texture(rng, *shape), np.ones(shape, np.float32), camera, view=view, depth=3.0)]


def parallax_world(rng: np.random.Generator, view: LayerView, camera: PlaneCamera) -> list[Layer]:
    """A wall, and before it, nearer and nearer, planes with outlines."""
    shape = _canvas(view)
    layers = [_standing_layer(noise_texture(rng, *shape), np.ones(shape, np.float32), camera, view=view, depth=5.0)]
    beyond = round(30 * view.unit)
    for depth in (2.5, 1.6, 1.0):
        alpha = np.zeros(shape, np.float32)
        for _ in range(2):
            high, wide = (int(side * view.unit) for side in rng.uniform(70, 150, 2))
            outline = blob(rng, high, wide, 0.95)
            y, x = (
                int(rng.integers(view.margin - beyond, view.margin + side + beyond - size))
                for side, size in zip((view.height, view.width), outline.shape, strict=True)
            )
            window = alpha[y : y + outline.shape[0], x : x + outline.shape[1]]
            np.maximum(window, outline, out=window)
        layers.append(_standing_layer(noise_texture(rng, *shape), alpha, camera, view=view, depth=depth))
    return layers


def flying_layer(rng: np.random.Generator, view: LayerView) -> Layer:
    """A blob that drifts, turns, tilts and grows on its own."""
    unit, num_frames = view.unit, view.num_frames
    height, width = (int(side * unit) for side in rng.uniform(60, 130, 2))
    x = rng.uniform(0, view.width) + smooth_path(rng, num_frames, 18 * unit, speed=2.5 * unit)
    y = rng.uniform(0, view.height) + smooth_path(rng, num_frames, 12 * unit, speed=1.5 * unit)
    angle = smooth_path(rng, num_frames, 0.15, speed=0.01)
    scale = np.exp(smooth_path(rng, num_frames, 0.08, speed=0.0))
    tilt = smooth_path(rng, num_frames, 0.0003 / unit, speed=0.0)
    motion = np.zeros((*x.shape, 3, 3))
    motion[..., 0, 0] = motion[..., 1, 1] = scale * np.cos(angle)
    motion[..., 1, 0] = scale * np.sin(angle)
    motion[..., 0, 1] = -motion[..., 1, 0]
    motion[..., 2, 0], motion[..., 2, 2] = tilt, 1
    motion[..., 0, 2], motion[..., 1, 2] = x, y
    to_middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    texture = noise_texture(rng, height, width)
    return Layer(texture=texture, alpha=blob(rng, height, width, 0.95), canvas_to_image=motion @ to_middle, moves=True)


def _canvas(view: LayerView) -> tuple[int, int]:
    return view.height + 2 * view.margin, view.width + 2 * view.margin


def _standing_layer(texture: np.ndarray, alpha: np.ndarray, camera: PlaneCamera, *, view: LayerView, depth: float) -> Layer:
    """A fronto-parallel plane at `depth`, drawn at one canvas pixel per image pixel for the first camera."""
    if camera.position[..., 2].max() > (1 - _NEAREST) * depth:
        raise DataError(f"over {view.num_frames} frames the camera walks through a layer; ask for shorter clips (48 frames are usual)")
    height, width = alpha.shape
    first = camera.intrinsics[0, 0]
    to_ray = np.linalg.inv(first) @ np.array([[1, 0, (view.width - width) / 2], [0, 1, (view.height - height) / 2], [0, 0, 1]])
    shift = np.zeros((*camera.position.shape[:2], 3, 3))
    shift[..., 2] = camera.position / depth
    motion = camera.intrinsics @ camera.rotation @ (np.eye(3) - shift) @ to_ray
    return Layer(texture=texture, alpha=alpha, canvas_to_image=motion, moves=False)
