"""True tracks: their queries, the path of the surface point under each, and its visibility."""

from collections.abc import Callable

import numpy as np

from pipeline.errors import DataError
from pipeline.synthetic.geometry import PlacedGeometry, SceneGeometry, SurfacePoints
from pipeline.synthetic.render import pixel_rays
from pipeline.synthetic.scene import Scene, TrueTracks

_TOLERANCE = 2e-4  # a surface nearer than the point by more than this share of the distance hides it
_NEAR_M = 0.05  # points nearer than this, or behind the camera, are not seen; they are projected as if they were this far
_ON_MOVERS = 0.4  # of the queries, where the frame shows enough of them


def true_tracks(scene: Scene, queries: np.ndarray) -> TrueTracks:
    """Follow the surface points that N queries see, over all frames of the scene.

    The ray through the query's pixel meets a triangle; the point stays fixed to it, wherever its object goes. It is visible
    in a frame if it is inside the image, in front of the camera, and a ray towards it meets nothing before it.

    Args:
        queries: "N 3", (t, x, y): frame index and pixels (integer = pixel centre) of the scene's own frames.
    Raises: DataError if a query is not at a frame and pixel of the scene; ConfigError if the `synthetic` extra is not installed.
    """
    geometry = SceneGeometry(scene)
    return follow(scene, queries, geometry=geometry, place=geometry.place)


def follow(scene: Scene, queries: np.ndarray, *, geometry: SceneGeometry, place: Callable[[int], PlacedGeometry]) -> TrueTracks:
    """The tracks of `true_tracks`, with the geometry of the scene and its placing in a frame given."""
    queries = np.asarray(queries, np.float64)
    _check(scene, queries)
    points, valid = _anchored(scene, geometry, queries, place)
    shape = (scene.num_frames, len(queries))
    tracks_px = np.tile(queries[:, 1:], (scene.num_frames, 1, 1))
    tracks3d, visibility = np.zeros((*shape, 3)), np.zeros(shape, bool)
    for frame in range(scene.num_frames):
        placed = place(frame)
        world = geometry.locate(placed, points)
        pose = scene.camera_to_world[frame]
        camera = (world - pose[:3, 3]) @ pose[:3, :3]
        pixels = _projected(scene.intrinsics, camera)
        tracks3d[frame, valid], tracks_px[frame, valid] = camera, pixels
        visibility[frame, valid] = _inside(scene, pixels) & (camera[:, 2] > _NEAR_M) & _reached(placed, pose[:3, 3], world)
    return TrueTracks(tracks_px=tracks_px.astype(np.float32), visibility=visibility, tracks3d=tracks3d.astype(np.float32), valid=valid)


def _anchored(
    scene: Scene, geometry: SceneGeometry, queries: np.ndarray, place: Callable[[int], PlacedGeometry]
) -> tuple[SurfacePoints, np.ndarray]:
    """The surface points of the queries that see a surface, and which queries these are (bool "N")."""
    face, weights = np.full(len(queries), -1), np.zeros((len(queries), 3))
    for frame in np.unique(queries[:, 0]).astype(int):
        here = np.flatnonzero(queries[:, 0] == frame)
        pose = scene.camera_to_world[frame]
        directions = pixel_rays(scene.intrinsics, queries[here, 1:]) @ pose[:3, :3].T
        placed = place(int(frame))
        hits = placed.caster.first_hits(pose[:3, 3], directions)
        met = hits.face >= 0
        places = pose[:3, 3] + hits.distance[met, None] * directions[met]
        face[here] = hits.face
        weights[here[met]] = geometry.anchor(placed, face=hits.face[met], points=places).weights
    valid = face >= 0
    return SurfacePoints(face=face[valid], weights=weights[valid]), valid


def _reached(placed: PlacedGeometry, origin: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether a ray from `origin` gets to each point before it meets something else. One length of the ray is the point's distance."""
    hits = placed.caster.first_hits(origin, points - origin)
    return (hits.face < 0) | (hits.distance > 1 - _TOLERANCE)


def _projected(intrinsics: np.ndarray, camera: np.ndarray) -> np.ndarray:
    scaled = camera[:, :2] / np.maximum(camera[:, 2:], _NEAR_M)
    return scaled * intrinsics[[0, 1], [0, 1]] + intrinsics[:2, 2]


def _inside(scene: Scene, pixels: np.ndarray) -> np.ndarray:
    return np.all((pixels >= -0.5) & (pixels <= np.array([scene.width, scene.height]) - 0.5), axis=-1)


def _check(scene: Scene, queries: np.ndarray) -> None:
    if queries.ndim != 2 or queries.shape[1] != 3:
        raise DataError(f"queries are {list(queries.shape)}, expected [N, 3]: (t, x, y)")
    frames = queries[:, 0]
    wrong = ~(_inside(scene, queries[:, 1:]) & (frames >= 0) & (frames < scene.num_frames) & (frames == np.round(frames)))
    if wrong.any():
        raise DataError(
            f"query {int(np.argmax(wrong))} is {queries[wrong][0].tolist()}, expected (t, x, y) within {scene.num_frames} frames"
            f" of {scene.width}x{scene.height}"
        )


def choose_queries(depth: np.ndarray, dynamic: np.ndarray, *, num_tracks: int, rng: np.random.Generator) -> np.ndarray:
    """Queries (t, x, y) on surfaces, float64 "N 3", in the order of their frames, evenly over all frames. N may be 0: nothing but sky.

    Args:
        depth: float32 "T H W", 0 = sky.
        dynamic: bool "T H W".
    """
    num_frames = len(depth)
    frames = np.arange(num_tracks) * num_frames // max(num_tracks, 1)
    queries = []
    for frame in range(num_frames):
        count = int(np.sum(frames == frame))
        moving = np.flatnonzero(dynamic[frame])
        still = np.flatnonzero((depth[frame] > 0) & ~dynamic[frame])
        on_movers = round(min(_ON_MOVERS * count, len(moving) / 12)) if len(still) else min(count, len(moving))
        chosen = [_spread(moving, on_movers, rng), _spread(still, count - on_movers, rng)]
        y, x = np.divmod(np.concatenate(chosen), depth.shape[2])
        queries.append(np.stack([np.full(len(x), frame), x, y], axis=-1))
    return np.concatenate(queries).astype(np.float64)


def _spread(pixels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the pixels (fewer if there are not so many): one from each of as many equal runs of them."""
    count = min(count, len(pixels))
    if count == 0:
        return pixels[:0]
    edges = np.linspace(0, len(pixels), count + 1)
    return pixels[np.floor(edges[:-1] + rng.random(count) * np.diff(edges)).astype(int)]
