"""What a layer looks like: its colours, and its outline."""

import cv2
import numpy as np


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
