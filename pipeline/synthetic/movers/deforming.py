"""Things that change their shape: shapes "T V 3" for a mesh, in the object's own frame. Every vertex keeps its piece of surface."""

import numpy as np

from pipeline.synthetic.mesh import Mesh, cylinder, rectangle, sphere


def flag_mesh(width: float, height: float) -> Mesh:
    """A cloth in the plane of x and z, hung up along its edge at x = 0; its top is z = 0."""
    return rectangle(np.array([0.0, 0, 0]), np.array([width, 0, 0]), np.array([0, 0, -height]), step_m=width / 14)


def waving(mesh: Mesh, times_s: np.ndarray, *, amplitude_m: float, speed: float = 1.0) -> np.ndarray:
    """A flag in the wind: waves run along x, stronger away from the hoist. Its cloth is not stretched along x, to first order."""
    x, z = mesh.vertices[:, 0], mesh.vertices[:, 2]
    width = x.max()
    phase = 2 * np.pi * (1.2 * x / width - 1.1 * speed * times_s[:, None] + 0.15 * z / width)
    swell = (x / width) ** 0.8
    across = amplitude_m * swell * (np.sin(phase) + 0.35 * np.sin(2.3 * phase + 1))
    slope = amplitude_m * swell * 2 * np.pi * 1.2 / width * np.cos(phase)
    shorter = x / width * np.sqrt(1 / (1 + np.mean(slope**2, axis=1, keepdims=True)))  # what goes into the waves is missing along x
    sag = -0.12 * width * (x / width) ** 2 * np.ones_like(phase)
    return np.stack([width * shorter, across, z + sag], axis=-1)


def blob_mesh(radius: float) -> Mesh:
    """What `wobbling` deforms."""
    return sphere(radius, segments=18)


def wobbling(mesh: Mesh, times_s: np.ndarray, *, rng: np.random.Generator, strength: float = 0.2, rate_hz: float = 1.0) -> np.ndarray:
    """A soft ball: it is squeezed and stretched along its height at a constant volume, and bulges here and there."""
    directions = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    radius = np.linalg.norm(mesh.vertices, axis=1).max()
    squeeze = 1 + strength * np.sin(2 * np.pi * rate_hz * times_s)[:, None]
    axes, phases = rng.normal(size=(4, 3)), rng.uniform(0, 2 * np.pi, 4)
    swing = np.sin(2 * np.pi * rate_hz * times_s[:, None, None] * [1.0, 0.7, 1.3, 0.5] + phases + 2.0 * directions @ axes.T)
    bulge = radius * (1 + 0.35 * strength * swing.sum(axis=-1) / 2)
    stretched = directions * bulge[..., None]
    return stretched * np.stack([squeeze**-0.5, squeeze**-0.5, squeeze], axis=-1)


def worm_mesh(length: float, radius: float) -> Mesh:
    """What `crawling` bends: a rounded tube along x."""
    tube = cylinder(radius, length, segments=12, step_m=length / 24)
    lying = tube.vertices[:, [2, 1, 0]] * [1, -1, 1]  # the height becomes x; two axes change places, one sign keeps the handedness
    normals = tube.normals[:, [2, 1, 0]] * [1, -1, 1]
    return Mesh(vertices=lying, normals=normals, uv=tube.uv, faces=tube.faces)


def crawling(mesh: Mesh, along_m: np.ndarray, *, sway_m: float) -> np.ndarray:
    """A worm that follows its own track: a wave that stands still on the ground while the body moves along x by `along_m` "T"."""
    x, y, z = mesh.vertices.T
    half = np.abs(x).max()
    thick = np.sqrt(np.clip(1.02 - (x / half) ** 4, 0.0, 1))
    wave = 2 * np.pi * (x + along_m[:, None]) / (1.1 * half)
    middle = sway_m * np.sin(wave)
    slope = sway_m * 2 * np.pi / (1.1 * half) * np.cos(wave)
    length = np.sqrt(1 + slope**2)
    side = y * thick
    return np.stack([x - side * slope / length, middle + side / length, np.broadcast_to(z * thick, wave.shape)], axis=-1)
