"""From (domain, seed, clip) to a scene: a world, its movers, a camera and its path; tried out with few rays. No pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.synthetic import surfaces
from pipeline.synthetic.domains import Domain
from pipeline.synthetic.filming.cameras import CAMERAS, add_shake
from pipeline.synthetic.filming.imaging import Imaging
from pipeline.synthetic.filming.tracing import Tracer
from pipeline.synthetic.lighting import Illumination
from pipeline.synthetic.render import pixel_rays
from pipeline.synthetic.sampling import CameraView, draw_illumination, draw_imaging, draw_number, draw_operator, place_movers
from pipeline.synthetic.scene import Scene, pinhole
from pipeline.synthetic.worlds.materials import MaterialBook, Paint
from pipeline.synthetic.worlds.room import room
from pipeline.synthetic.worlds.terrain import terrain
from pipeline.synthetic.worlds.town import town

_FRAMES = 6  # looked at, evenly spaced
_GRID = (18, 24)  # rays, rows and columns
_NEAREST_M = 0.4  # a camera that is nearer to something stands in it, or soon will
_MOST_SKY = 0.6
_MOVING = (0.006, 0.45)  # share of the picture that moves, on average
_LEAST_RELIEF = 1.35  # ratio of far to near (85th and 15th percentile of depth): less is a wall
_WORLDS = {"room": room, "street": town, "terrain": terrain}
_ATTEMPTS = 40
_TEXTURE_SIZE = 192
_SKY_PAINTS: dict[str, Paint] = {"clouds": surfaces.clouds, "weathering": surfaces.weathering}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Preview:
    """Findings of the quick look."""

    tracer: Tracer
    moving_share: float
    shortcoming: str | None  # why the scene cannot be filmed; None if it can


def preview_scene(scene: Scene) -> Preview:
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
    return Preview(tracer=tracer, moving_share=share, shortcoming=_shortcoming(np.stack(depth), np.stack(moving)))


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


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipRequest:
    """Request of one clip: equal requests are equal clips."""

    domain: Domain
    seed: int
    number: int
    num_frames: int
    size: tuple[int, int]  # height, width

    def __post_init__(self) -> None:
        if self.seed < 0 or self.number < 0:
            raise ConfigError(f"seed {self.seed} and clip number {self.number} must not be negative")
        if self.num_frames < 2 or min(self.size) < 16:
            raise ConfigError(f"{self.num_frames} frames of {self.size[1]}x{self.size[0]}: expected at least 2 frames of 16x16")

    def rng(self, *part: int) -> np.random.Generator:
        """A generator for one part of the clip, so that what one part draws does not shift the others."""
        return np.random.default_rng([self.seed, self.number, *part])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StagedClip:
    """A clip ready to be filmed."""

    scene: Scene
    illumination: Illumination
    imaging: Imaging
    tracer: Tracer  # of the scene
    notes: Mapping[str, object]  # what was drawn, as JSON types


def stage(request: ClipRequest) -> StagedClip:
    """Draw scenes until one can be filmed: the camera stands in nothing, something moves in view, and there is enough to see.

    Raises: DataError if none of many draws can; ConfigError if the `synthetic` extra is not installed.
    """
    shortcoming = None
    for attempt in range(_ATTEMPTS):
        draft = _Draft(request, attempt)
        preview = preview_scene(draft.scene)
        if preview.shortcoming is None:
            return draft.complete(preview)
        shortcoming = preview.shortcoming
    raise DataError(
        f"synthetic {request.domain.name} clip {request.number} of seed {request.seed}: none of {_ATTEMPTS} draws can be filmed"
        f" (the last: {shortcoming}); take another seed, or fewer frames per clip"
    )


class _Draft:
    """One attempt at a clip."""

    def __init__(self, request: ClipRequest, attempt: int) -> None:
        self._request, self._attempt = request, attempt
        domain, recording, rng = request.domain, request.domain.recording, request.rng(attempt, 0)
        self._book = MaterialBook(domain.looks, seed=(request.seed, request.number, attempt))
        self._world = _WORLDS[_chosen(rng, domain.worlds)](request.rng(attempt, 1), self._book)
        cameras = {name: weight for name, weight in domain.cameras.items() if self._world.has_sky or name != "drive"}
        self._camera = _chosen(rng, cameras)
        self._fps = recording.fps[int(rng.integers(len(recording.fps)))]
        lights = domain.skies if self._world.has_sky else domain.lamps
        self._light = lights[int(rng.integers(len(lights)))]
        self._fov_deg = draw_number(rng, recording.horizontal_fov_deg)
        self._times_s = np.arange(request.num_frames) / self._fps
        self.scene, self._movers = self._staged()

    def complete(self, preview: Preview) -> StagedClip:
        """The clip with its textures painted."""
        request, world = self._request, self._world
        extra = {name: paint for name, paint in _SKY_PAINTS.items() if name in (self._light.clouds, self._light.weathering)}
        rng = request.rng(self._attempt, 4)
        illumination = draw_illumination(request.domain, self._light, world=world, times_s=self._times_s, rng=rng)
        return StagedClip(
            scene=replace(self.scene, textures=self._book.textures(_TEXTURE_SIZE, extra=extra)),
            illumination=illumination,
            imaging=draw_imaging(request.domain.recording, self._times_s, rng=rng),
            tracer=preview.tracer,
            notes={
                "world": world.kind,
                "camera_motion": self._camera,
                "movers": list(self._movers),
                "attempt": self._attempt,
                "fps": self._fps,
            },
        )

    def _staged(self) -> tuple[Scene, tuple[str, ...]]:
        """The scene with blank textures, and the kinds of its movers."""
        request, (height, width) = self._request, self._request.size
        rng = request.rng(self._attempt, 2)
        operator = draw_operator(request.domain.recording, rng)
        poses = add_shake(CAMERAS[self._camera](self._world, self._times_s, operator, rng), self._times_s, operator, rng)
        view = CameraView(poses=poses, times_s=self._times_s, fov_deg=self._fov_deg)
        cast = place_movers(request.domain, self._world, book=self._book, view=view, rng=request.rng(self._attempt, 3))
        objects = (*self._world.objects, *cast.objects)
        names = [*self._book.names, *(name for name in (self._light.clouds, self._light.weathering) if name)]
        scene = Scene(
            objects=objects,
            textures={name: np.zeros((1, 1, 3), np.uint8) for name in names},
            light=self._light,
            camera_to_world=poses,
            intrinsics=pinhole(height, width, horizontal_fov_deg=self._fov_deg),
            height=height,
            width=width,
            fps=self._fps,
        )
        return scene, cast.kinds


def _chosen(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    names = list(weights)
    share = np.array([weights[name] for name in names])
    return names[int(rng.choice(len(names), p=share / share.sum()))]
