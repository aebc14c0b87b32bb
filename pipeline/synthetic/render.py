"""From a scene to frames, depth and masks: four rays per pixel for the colour, one through its centre for the truth."""

import numpy as np

from pipeline.synthetic.atlas import TextureAtlas
from pipeline.synthetic.geometry import PlacedGeometry, SceneGeometry
from pipeline.synthetic.lighting import SurfaceSamples, openness, shade, sky, unit
from pipeline.synthetic.scene import Scene, SceneClip

_BAND_ROWS = 16  # rows shaded at once: what is in flight stays in the processor's cache
_SUBPIXELS = np.array([[-0.125, -0.375], [0.375, -0.125], [-0.375, 0.125], [0.125, 0.375]])  # rotated grid, (x, y)
_SUN_RADIUS = 0.012  # radians; larger than the real one (0.0047), for softer shadows from four rays
_MOVER_OPENNESS = 0.75  # movers come near and leave: their openness is not computed


def render(scene: Scene) -> SceneClip:
    """Render all frames. Two runs give the same bytes.

    Raises: ConfigError if the `synthetic` extra is not installed.
    """
    renderer = _Renderer(scene)
    frames = np.empty((scene.num_frames, scene.height, scene.width, 3), np.uint8)
    depth = np.empty(frames.shape[:3], np.float32)
    dynamic = np.empty(frames.shape[:3], bool)
    for frame in range(scene.num_frames):
        placed = renderer.geometry.place(frame)
        frames[frame] = renderer.colours(placed, frame)
        face, depth[frame] = _centre_rays(scene, placed, frame)
        dynamic[frame] = (face >= 0) & renderer.geometry.face_moves[face]
    return SceneClip(
        frames=frames,
        depth=depth,
        dynamic_mask=dynamic,
        camera_to_world=scene.camera_to_world,
        intrinsics=np.tile(scene.intrinsics, (scene.num_frames, 1, 1)),
        fps=scene.fps,
    )


def pixel_rays(intrinsics: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Directions "... 3" in the camera through pixels "... 2" (x, y), with z = 1: a length along one is a depth."""
    focal, centre = intrinsics[[0, 1], [0, 1]], intrinsics[:2, 2]
    return np.concatenate([(pixels - centre) / focal, np.ones((*pixels.shape[:-1], 1))], axis=-1)


class _Renderer:
    """Rendering by all that stays the same over the frames of a scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.geometry = SceneGeometry(scene)
        self._atlas = TextureAtlas(list(scene.textures.values()))
        names = list(scene.textures)
        self._clouds = None if scene.light.clouds is None else names.index(scene.light.clouds)
        self._weathering = None if scene.light.weathering is None else names.index(scene.light.weathering)
        self._openness = self._static_openness()

    def colours(self, placed: PlacedGeometry, frame: int) -> np.ndarray:
        """One frame, uint8 "H W 3"."""
        table = self._surface_table(placed)
        height, width = self._scene.height, self._scene.width
        linear = np.empty((height, width, 3), np.float32)
        for top in range(0, height, _BAND_ROWS):
            rows = np.arange(top, min(top + _BAND_ROWS, height))
            y, x = np.meshgrid(rows, np.arange(width), indexing="ij")
            pixels = np.stack([x, y], axis=-1)[:, :, None] + _SUBPIXELS  # "h W 4 2"
            radiance = self._radiance(placed, table, frame, pixels.reshape(-1, 2))
            linear[rows] = radiance.reshape(len(rows), width, len(_SUBPIXELS), 3).mean(axis=2)
        return _developed(linear)

    def _radiance(self, placed: PlacedGeometry, table: np.ndarray, frame: int, pixels: np.ndarray) -> np.ndarray:
        """Linear colours "N 3" seen through pixels "N 2"."""
        pose = self._scene.camera_to_world[frame]
        origin = pose[:3, 3].astype(np.float32)
        directions = (pixel_rays(self._scene.intrinsics, pixels) @ pose[:3, :3].T).astype(np.float32)
        hits = placed.caster.first_hits(origin, directions)
        seen, missed = np.flatnonzero(hits.face >= 0), np.flatnonzero(hits.face < 0)
        radiance = np.empty((len(pixels), 3), np.float32)
        if len(missed):
            radiance[missed] = sky(unit(directions[missed]), self._scene.light, self._atlas, clouds=self._clouds)
        if len(seen):
            surface = self._surface(table, hits.face[seen], origin, directions[seen] * hits.distance[seen, None])
            angle = np.pi / 2 * (seen % len(_SUBPIXELS))
            jitter = _SUN_RADIUS * np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)], axis=-1).astype(np.float32)
            radiance[seen] = shade(surface, self._scene.light, placed.caster, sun_jitter=jitter)
        return radiance

    def _surface(self, table: np.ndarray, face: np.ndarray, origin: np.ndarray, arms: np.ndarray) -> SurfaceSamples:
        """Surface samples at the ends of `arms` "N 3" from the camera, on triangles `face`."""
        row = table[face]  # corner 3, weight vectors 3 + 3, then (u, v, normal, openness) at corner 1 and their change to corners 2, 3
        points = origin + arms
        offset = points - row[:, :3]
        second, third = np.einsum("ni,ni->n", offset, row[:, 3:6]), np.einsum("ni,ni->n", offset, row[:, 6:9])
        values = row[:, 9:15] + second[:, None] * row[:, 15:21] + third[:, None] * row[:, 21:27]
        distance = np.sqrt(np.einsum("ni,ni->n", arms, arms))
        normals = unit(values[:, 2:5])
        cosine = -np.einsum("ni,ni->n", normals, arms) / distance
        normals = np.where(cosine[:, None] < 0, -normals, normals)
        # side of a subpixel on the surface; between its short and its stretched side, which a square cannot both be
        focal = np.float32(self._scene.intrinsics[0, 0])
        footprint = distance / focal * np.float32(0.6) / np.sqrt(np.maximum(np.abs(cosine), np.float32(0.08)))
        tile = self.geometry.face_tile_m[face].astype(np.float32)
        albedo = self._atlas.sample(self.geometry.face_texture[face], values[:, :2], footprint / tile)
        if self._weathering is not None:
            albedo = albedo * self._weathered(values[:, :2] * tile[:, None], points, footprint)
        return SurfaceSamples(points=points, normals=normals, albedo=albedo, openness=values[:, 5], distance_m=distance)

    def _weathered(self, uv_m: np.ndarray, points: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """Factor on the albedo, "N 3"; its own wide tile of 5.3 m hides that the others repeat."""
        tile = np.float32(5.3)
        cover = self._atlas.sample(np.full(len(points), self._weathering), uv_m / tile, footprint / tile)
        return cover / np.float32(0.5**2.2)

    def _surface_table(self, placed: PlacedGeometry) -> np.ndarray:
        """Shading data of each triangle, float32 "F 27", so that one look-up fetches it."""
        frames = self.geometry.barycentric_frames(placed, np.arange(len(self.geometry.faces)))
        values = np.concatenate([self.geometry.uv_tiles, placed.normals, self._openness[:, None]], axis=1)
        first, second, third = (values[self.geometry.faces[:, i]] for i in range(3))
        return np.concatenate([*frames, first, second - first, third - first], axis=1).astype(np.float32)

    def _static_openness(self) -> np.ndarray:
        """Openness of every vertex, among the objects that stand still."""
        placed, moves = self.geometry.place(0), self.geometry.vertex_moves
        result = np.full(len(moves), _MOVER_OPENNESS)
        if self.geometry.static_caster is not None:
            rng = np.random.default_rng(0)  # only where in the dome the rays point: the same for every scene
            result[~moves] = openness(self.geometry.static_caster, placed.vertices[~moves], placed.normals[~moves], rng=rng)
        return result


def _centre_rays(scene: Scene, placed: PlacedGeometry, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Face at every pixel's centre ("H W", -1 is sky), and its depth (0 is sky)."""
    y, x = np.mgrid[: scene.height, : scene.width]
    pose = scene.camera_to_world[frame]
    directions = pixel_rays(scene.intrinsics, np.stack([x, y], axis=-1).reshape(-1, 2)) @ pose[:3, :3].T
    hits = placed.caster.first_hits(pose[:3, 3], directions)
    depth = np.where(hits.face >= 0, hits.distance, 0)
    return hits.face.reshape(scene.height, scene.width), depth.reshape(scene.height, scene.width)


def _developed(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB bytes with a film-like shoulder. Source: K. Narkowicz, ACES filmic tone mapping curve (2015)."""
    light = linear * np.float32(1.05)
    film = np.clip(light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14), 0, 1)
    return np.round(255 * film ** np.float32(1 / 2.2)).astype(np.uint8)
