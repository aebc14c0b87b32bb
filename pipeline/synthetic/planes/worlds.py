"""Layers that stand still before a moving camera, and layers that fly about."""

import numpy as np

from pipeline.errors import DataError
from pipeline.synthetic.planes.layer import Layer, View
from pipeline.synthetic.planes.paths import PlaneCamera, smooth_path
from pipeline.synthetic.planes.textures import blob, noise_texture

_NEAREST = 0.2  # of a layer's depth: the camera comes no nearer


def homography_world(rng: np.random.Generator, view: View, camera: PlaneCamera) -> list[Layer]:
    """One wall: all that stands still moves by one homography."""
    shape = _canvas(view)
    return [_standing_layer(noise_texture(rng, *shape), np.ones(shape, np.float32), camera, view=view, depth=3.0)]


def parallax_world(rng: np.random.Generator, view: View, camera: PlaneCamera) -> list[Layer]:
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


def flying_layer(rng: np.random.Generator, view: View) -> Layer:
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


def _canvas(view: View) -> tuple[int, int]:
    return view.height + 2 * view.margin, view.width + 2 * view.margin


def _standing_layer(texture: np.ndarray, alpha: np.ndarray, camera: PlaneCamera, *, view: View, depth: float) -> Layer:
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
