"""One frame of a clip: a ray through every pixel's centre for truth and colour alike, more rays where edges would show steps."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.synthetic.filming.shading import RayColours, Shader
from pipeline.synthetic.filming.tracing import FrameCaster, SurfaceHits, Tracer
from pipeline.synthetic.lighting import Illumination
from pipeline.synthetic.render import pixel_rays
from pipeline.synthetic.scene import Scene

SKY_M = 1e5  # what the sky counts as: far enough that only turning the camera moves it
_NEAR_M = np.float32(0.05)  # points that come nearer than this, or behind the camera, are projected as if they were this far
_AROUND = np.array([[0.367, 0.098], [-0.269, 0.269], [-0.098, -0.367]])  # (x, y) from the centre, balanced about it
_CREASE = np.float32(0.95)  # cosine between neighbouring normals below which a crease is smoothed


def screen_motion(scene: Scene, frames: tuple[int, int], points: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Movement in the image from one frame to the other, float32 "N 2" (x, y) in pixels.

    Args:
        points: "N 3", in the first frame's camera.
        shift: "N 3", how far each point moves in the world meanwhile.
    """
    pose, other = scene.camera_to_world[frames[0]], scene.camera_to_world[frames[1]]
    turn = (other[:3, :3].T @ pose[:3, :3]).astype(np.float32)
    offset = (other[:3, :3].T @ (pose[:3, 3] - other[:3, 3])).astype(np.float32)
    before = points.astype(np.float32)
    after = before @ turn.T + (offset + shift.astype(np.float32) @ other[:3, :3].astype(np.float32))
    focal = scene.intrinsics[[0, 1], [0, 1]].astype(np.float32)
    return np.asarray(focal * (_flat(after) - _flat(before)))


def _flat(points: np.ndarray) -> np.ndarray:
    return np.asarray(points[:, :2] / np.maximum(points[:, 2:], _NEAR_M))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LinearFrame:
    """Linear light of one frame, before any camera's imperfection, and its truth."""

    radiance: np.ndarray  # float32 "H W 3", linear RGB
    depth: np.ndarray  # float32 "H W", metres along z, 0 = sky
    dynamic: np.ndarray  # bool "H W"
    motion_px: np.ndarray  # float32 "H W 2": movement in the image from this frame to the next (at the end: from the last to this)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Borders:
    """Pixels where one ray would show steps."""

    outlines: np.ndarray  # int64 "n": numbers (along rows) of pixels whose neighbour shows another object
    creases: np.ndarray  # bool "H W": elsewhere, the neighbour shows another side of the object, or of a shadow's border


class FrameMaker:
    """Makes the frames of one scene, in any order."""

    def __init__(self, scene: Scene, illumination: Illumination, tracer: Tracer) -> None:
        """Place all frames, and build what stays the same over them; the tracer is of this scene's objects, whatever their textures."""
        self._scene = scene
        self._geometry = tracer.geometry
        self.placed = tuple(tracer.place(frame) for frame in range(scene.num_frames))
        self._shader = Shader(scene, illumination, tracer)
        y, x = np.mgrid[: scene.height, : scene.width].astype(np.float64)
        self._centres = np.stack([x, y], axis=-1).reshape(-1, 2)
        self._rays = pixel_rays(scene.intrinsics, self._centres)

    def make(self, frame: int) -> LinearFrame:
        """Render one frame."""
        scene, shape = self._scene, (self._scene.height, self._scene.width)
        caster = self.placed[frame].caster
        self._shader.arrange(self.placed[frame])
        origin, rotation = scene.camera_to_world[frame, :3, 3], scene.camera_to_world[frame, :3, :3]
        directions = self._rays @ rotation.T
        hits = caster.surface_hits(origin, directions)
        shaded = self._shader.shade(frame, directions.astype(np.float32), hits, caster)
        depth = caster.plane_distance(hits.face, origin, directions)
        depth[hits.face < 0] = 0
        radiance = np.ascontiguousarray(shaded.radiance.T).reshape(*shape, 3)
        return LinearFrame(
            radiance=self._smoothed(frame, radiance, self._borders(hits, shaded, shape), caster),
            depth=depth.astype(np.float32).reshape(shape),
            dynamic=((hits.face >= 0) & self._geometry.face_moves[hits.face]).reshape(shape),
            motion_px=self._motion(frame, depth, hits).reshape(*shape, 2),
        )

    def _motion(self, frame: int, depth: np.ndarray, hits: SurfaceHits) -> np.ndarray:
        step = 1 if frame + 1 < self._scene.num_frames else -1
        if not 0 <= frame + step < self._scene.num_frames:
            return np.zeros((len(depth), 2), np.float32)
        points = np.where(depth[:, None] > 0, depth[:, None], SKY_M) * self._rays
        movers = np.flatnonzero((hits.face >= 0) & self._geometry.face_moves[hits.face])
        weights = np.stack([1 - hits.second[movers] - hits.third[movers], hits.second[movers], hits.third[movers]], axis=1)
        corners = self._geometry.faces[hits.face[movers]]
        shift = np.zeros((len(depth), 3))
        shift[movers] = np.einsum("nk,nki->ni", weights, self.placed[frame + step].vertices[corners] - self.placed[frame].vertices[corners])
        return step * screen_motion(self._scene, (frame, frame + step), points, shift)

    def _borders(self, hits: SurfaceHits, shaded: RayColours, shape: tuple[int, int]) -> _Borders:
        objects = np.where(hits.face >= 0, self._geometry.face_object[hits.face], -1).reshape(shape)
        lit, normals = shaded.lit.reshape(shape), shaded.normals.reshape(3, *shape)
        outlines, creases = np.zeros(shape, bool), np.zeros(shape, bool)
        for before, after in ((np.s_[..., :-1], np.s_[..., 1:]), (np.s_[..., :-1, :], np.s_[..., 1:, :])):
            differs = objects[before] != objects[after]
            bent = np.sum(normals[before] * normals[after], axis=0) < _CREASE
            for marked, pair in ((outlines, differs), (creases, (bent & (objects[before] >= 0)) | (lit[before] != lit[after]))):
                marked[before] |= pair
                marked[after] |= pair
        return _Borders(outlines=np.flatnonzero(outlines), creases=creases & ~outlines)

    def _smoothed(self, frame: int, radiance: np.ndarray, borders: _Borders, caster: FrameCaster) -> np.ndarray:
        """Without steps: more rays along outlines, a mean with the neighbours along creases and shadows."""
        blurred = cv2.GaussianBlur(radiance, (3, 3), 0)
        result = np.where(borders.creases[..., None], blurred, radiance)
        places = (self._centres[borders.outlines, None] + _AROUND).reshape(-1, 2)
        pose = self._scene.camera_to_world[frame]
        directions = (pixel_rays(self._scene.intrinsics, places) @ pose[:3, :3].T).astype(np.float32)
        around = self._shader.shade(frame, directions, caster.surface_hits(pose[:3, 3], directions), caster).radiance
        flat = result.reshape(-1, 3)
        flat[borders.outlines] = (flat[borders.outlines] + around.reshape(3, -1, len(_AROUND)).sum(axis=2).T) / np.float32(1 + len(_AROUND))
        return result
