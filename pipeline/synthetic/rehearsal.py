"""A quick look at a draft of a scene, with few rays, before textures are painted: can it be filmed?"""

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.filming.tracing import Tracer
from pipeline.synthetic.render import pixel_rays
from pipeline.synthetic.scene import Scene

_FRAMES = 6  # looked at, evenly spaced
_GRID = (18, 24)  # rays, rows and columns
_NEAREST_M = 0.4  # a camera that is nearer to something stands in it, or soon will
_MOST_SKY = 0.6
_MOVING = (0.006, 0.45)  # share of the picture that moves, on average
_LEAST_RELIEF = 1.35  # ratio of far to near (85th and 15th percentile of depth): less is a wall


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rehearsal:
    """What the quick look found."""

    tracer: Tracer
    moving_share: float
    shortcoming: str | None  # why the scene cannot be filmed; None if it can


def rehearse(scene: Scene) -> Rehearsal:
    """Look at a scene; its textures do not matter. Raises: ConfigError if the `synthetic` extra is not installed."""
    tracer = Tracer(scene)
    rows, columns = (np.linspace(0, side - 1, count) for side, count in zip((scene.height, scene.width), _GRID, strict=True))
    rays = pixel_rays(scene.intrinsics, np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2))
    frames = np.unique(np.linspace(0, scene.num_frames - 1, _FRAMES).round().astype(int))
    depth, moving = [], []
    for frame in frames.tolist():
        pose = scene.camera_to_world[frame]
        hits = tracer.caster(tracer.geometry.arrange(frame)).surface_hits(pose[:3, 3], rays @ pose[:3, :3].T)
        depth.append(hits.distance)  # infinite for the sky
        moving.append((hits.face >= 0) & tracer.geometry.face_moves[hits.face])
    share = float(np.mean(moving))
    return Rehearsal(tracer=tracer, moving_share=share, shortcoming=_shortcoming(np.stack(depth), np.stack(moving)))


def _shortcoming(depth: np.ndarray, moving: np.ndarray) -> str | None:
    near, far = np.quantile(depth, [0.15, 0.85], axis=1, method="nearest")
    share = float(moving.mean())
    if depth.min() < _NEAREST_M:
        return f"the camera comes within {depth.min():.2f} m of something"
    if np.isinf(depth).mean() > _MOST_SKY:
        return f"{np.isinf(depth).mean():.0%} of the picture is sky"
    if not _MOVING[0] <= share <= _MOVING[1]:
        return f"{share:.1%} of the picture moves"
    if np.median(far / near) < _LEAST_RELIEF:
        return f"far is only {np.median(far / near):.2f} times as deep as near"
    return None
