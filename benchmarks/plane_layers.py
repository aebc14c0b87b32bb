"""Clips of moving textured planes with exact truth: the scenes on which the labelers are measured.

A clip is a stack of flat layers. Each has a texture with an outline (alpha) and, per frame, a homography from its canvas to the
image; the layer on top hides what lies below. The homography world has one background seen by a turning, zooming camera; the
parallax world has standing layers at several depths seen by a camera that also moves. In both, four to six more layers fly
about on their own. Motion blur, defocus, gain and noise are added to the frames, never to the truth.
"""

from dataclasses import dataclass

import cv2
import numpy as np

HEIGHT, WIDTH = 240, 320
MARGIN = 200  # pixels of background canvas beyond each side of the image
SHUTTER = (-0.3, 0.0, 0.3)  # sub-exposures, in frames around the frame's own time


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layer:
    """A flat, textured thing; `canvas_to_image` is sampled at every frame and at every sub-exposure."""

    texture: np.ndarray  # float32 "h w 3", 0..255
    alpha: np.ndarray  # float32 "h w", 0..1
    canvas_to_image: np.ndarray  # float64 "T S 3 3": S sub-exposures, the middle one is the frame's own time


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlaneLayerClip:
    """Frames, and the layers that tell the truth about them."""

    key: str
    frames: np.ndarray  # uint8 "T H W 3"
    layers: tuple[Layer, ...]  # from the farthest to the nearest

    def truth(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Follow queries "N 3" (t, x, y): positions float64 "T N 2" and visibility bool "T N" (in the image and not hidden)."""
        owner = np.array([self._top_layer(int(t), np.array([[x, y]]))[0] for t, x, y in queries], int)
        tracks = np.empty((len(self.frames), len(queries), 2))
        for n, (t, x, y) in enumerate(queries):
            motion = self._at(owner[n]) @ np.linalg.inv(self._at(owner[n])[int(t)])
            moved = motion @ np.array([x, y, 1.0])
            tracks[:, n] = moved[:, :2] / moved[:, 2:]
        visible = np.stack([self._top_layer(t, tracks[t]) == owner for t in range(len(self.frames))])
        inside = (tracks >= -0.5).all(axis=2) & (tracks[..., 0] <= WIDTH - 0.5) & (tracks[..., 1] <= HEIGHT - 0.5)
        return tracks, visible & inside

    def _at(self, layer: int) -> np.ndarray:
        return self.layers[layer].canvas_to_image[:, len(SHUTTER) // 2]

    def _top_layer(self, t: int, points: np.ndarray) -> np.ndarray:
        top = np.zeros(len(points), int)
        for index, layer in enumerate(self.layers):
            canvas = cv2.perspectiveTransform(points[None].astype(np.float64), np.linalg.inv(self._at(index)[t]))[0].astype(np.float32)
            alpha = cv2.remap(layer.alpha, canvas[:, None, 0], canvas[:, None, 1], cv2.INTER_LINEAR, borderValue=0)[:, 0]
            top[alpha > 0.5] = index
        return top


def make_clip(index: int, *, num_frames: int = 48) -> PlaneLayerClip:
    """Clip number `index` of the suite; even ones are homography worlds, odd ones parallax worlds. The same for ever."""
    rng = np.random.default_rng([20_261, index])
    camera = _camera_path(rng, num_frames)
    standing = _homography_world(rng, camera) if index % 2 == 0 else _parallax_world(rng, camera)
    flying = [_flying_layer(rng, num_frames) for _ in range(rng.integers(4, 7))]
    layers = (*standing, *flying)
    return PlaneLayerClip(key=f"plane-layers-{index:02d}", frames=_expose(rng, layers, num_frames), layers=layers)


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Coloured noise of several octaves with hard-edged blots; the contrast differs from place to place, down to almost none."""
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


def _blob(rng: np.random.Generator, height: int, width: int, size: float) -> np.ndarray:
    """A smooth closed outline about the middle, filled: float32 "h w", 1 inside."""
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    radius = 1 + sum(rng.uniform(0, 0.3 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4, 5))
    outline = np.stack([np.cos(angle) * width, np.sin(angle) * height], axis=1) * (size / 2 * radius / radius.max())[:, None]
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [np.round((outline + (width / 2, height / 2)) * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    return mask


def _smooth_path(rng: np.random.Generator, num_frames: int, amplitude: float, *, speed: float) -> np.ndarray:
    """A drift of `speed` per frame in a random direction plus slow swings of about `amplitude`: float64 "T S"."""
    t = np.arange(num_frames)[:, None] + np.array(SHUTTER)
    swings = sum(rng.normal() * np.sin(2 * np.pi * t / rng.uniform(20, 70) + rng.uniform(0, 2 * np.pi)) for _ in range(3))
    return amplitude * swings / np.sqrt(3) + speed * rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0) * t


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Camera:
    rotation: np.ndarray  # "T S 3 3"
    position: np.ndarray  # "T S 3"; the scene's nearest standing layer is 1 away
    intrinsics: np.ndarray  # "T S 3 3"


def _camera_path(rng: np.random.Generator, num_frames: int) -> _Camera:
    yaw, pitch, roll = (_smooth_path(rng, num_frames, angle, speed=0.0) for angle in (0.05, 0.035, 0.05))
    position = np.stack(
        [_smooth_path(rng, num_frames, sway, speed=speed) for sway, speed in ((0.06, 0.004), (0.04, 0.002), (0.05, 0.002))], axis=-1
    )
    focal = 300 * np.exp(_smooth_path(rng, num_frames, 0.04, speed=0.001))
    intrinsics = np.zeros((*focal.shape, 3, 3))
    intrinsics[..., 0, 0] = intrinsics[..., 1, 1] = focal
    intrinsics[..., 0, 2], intrinsics[..., 1, 2], intrinsics[..., 2, 2] = (WIDTH - 1) / 2, (HEIGHT - 1) / 2, 1
    rotation = np.array(
        [[cv2.Rodrigues(np.array(angles))[0] for angles in zip(*row, strict=True)] for row in zip(pitch, yaw, roll, strict=True)]
    )
    return _Camera(rotation=rotation, position=position - position[:1, :1], intrinsics=intrinsics)


def _standing_layer(texture: np.ndarray, alpha: np.ndarray, camera: _Camera, depth: float) -> Layer:
    """A fronto-parallel plane at `depth`, drawn at one canvas pixel per image pixel for the first camera."""
    height, width = alpha.shape
    first = camera.intrinsics[0, 0]
    to_ray = np.linalg.inv(first) @ np.array([[1, 0, (WIDTH - width) / 2], [0, 1, (HEIGHT - height) / 2], [0, 0, 1]])
    shift = np.zeros((*camera.position.shape[:2], 3, 3))
    shift[..., 2] = camera.position / depth
    return Layer(texture=texture, alpha=alpha, canvas_to_image=camera.intrinsics @ camera.rotation @ (np.eye(3) - shift) @ to_ray)


def _homography_world(rng: np.random.Generator, camera: _Camera) -> list[Layer]:
    shape = (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)
    return [_standing_layer(_texture(rng, *shape), np.ones(shape, np.float32), camera, 3.0)]


def _parallax_world(rng: np.random.Generator, camera: _Camera) -> list[Layer]:
    """A wall, and before it, nearer and nearer, planes with outlines."""
    shape = (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)
    layers = [_standing_layer(_texture(rng, *shape), np.ones(shape, np.float32), camera, 5.0)]
    for depth in (2.5, 1.6, 1.0):
        alpha = np.zeros(shape, np.float32)
        for _ in range(2):
            blob = _blob(rng, *(int(side) for side in rng.uniform(70, 150, 2)), 0.95)
            y, x = (
                int(rng.integers(MARGIN - 30, MARGIN + side + 30 - size)) for side, size in zip((HEIGHT, WIDTH), blob.shape, strict=True)
            )
            window = alpha[y : y + blob.shape[0], x : x + blob.shape[1]]
            np.maximum(window, blob, out=window)
        layers.append(_standing_layer(_texture(rng, *shape), alpha, camera, depth))
    return layers


def _flying_layer(rng: np.random.Generator, num_frames: int) -> Layer:
    height, width = (int(side) for side in rng.uniform(60, 130, 2))
    x = rng.uniform(0, WIDTH) + _smooth_path(rng, num_frames, 18, speed=2.5)
    y = rng.uniform(0, HEIGHT) + _smooth_path(rng, num_frames, 12, speed=1.5)
    angle = _smooth_path(rng, num_frames, 0.15, speed=0.01)
    scale = np.exp(_smooth_path(rng, num_frames, 0.08, speed=0.0))
    tilt = _smooth_path(rng, num_frames, 0.0003, speed=0.0)
    motion = np.zeros((*x.shape, 3, 3))
    motion[..., 0, 0] = motion[..., 1, 1] = scale * np.cos(angle)
    motion[..., 1, 0] = scale * np.sin(angle)
    motion[..., 0, 1] = -motion[..., 1, 0]
    motion[..., 2, 0], motion[..., 2, 2] = tilt, 1
    motion[..., 0, 2], motion[..., 1, 2] = x, y
    to_middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    return Layer(texture=_texture(rng, height, width), alpha=_blob(rng, height, width, 0.95), canvas_to_image=motion @ to_middle)


def _expose(rng: np.random.Generator, layers: tuple[Layer, ...], num_frames: int) -> np.ndarray:
    gain = np.exp(0.06 * _smooth_path(rng, num_frames, 1.0, speed=0.0)[:, 1])
    defocus = 0.6 + 0.5 * np.abs(_smooth_path(rng, num_frames, 1.0, speed=0.0)[:, 1])
    frames = np.empty((num_frames, HEIGHT, WIDTH, 3), np.uint8)
    for t in range(num_frames):
        image = np.mean([_composite(layers, t, exposure) for exposure in range(len(SHUTTER))], axis=0)
        image = cv2.GaussianBlur(image, (0, 0), defocus[t]) * gain[t]
        frames[t] = np.clip(np.round(image + rng.normal(0, 4, image.shape)), 0, 255)
    return frames


def _composite(layers: tuple[Layer, ...], t: int, exposure: int) -> np.ndarray:
    image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for layer in layers:
        motion = layer.canvas_to_image[t, exposure]
        alpha = cv2.warpPerspective(layer.alpha, motion, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)[..., None]
        colour = cv2.warpPerspective(layer.texture, motion, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        image = image * (1 - alpha) + colour * alpha
    return image
