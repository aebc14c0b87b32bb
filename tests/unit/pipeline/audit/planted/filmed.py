"""A rendered clip with a moving camera, depth and two boards that cross; its true tracks; and the truth as a labeler that follows back."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from pipeline.audit.tracks.cycle import CycleMeasures, cycle_measures, cycle_queries
from pipeline.records import TrackLabels
from pipeline.synthetic import Light, Scene, SceneObject, pinhole, true_tracks
from pipeline.synthetic.filming.frames import FrameMaker
from pipeline.synthetic.filming.imaging import Imaging, develop
from pipeline.synthetic.filming.tracing import Tracer
from pipeline.synthetic.lighting import Illumination
from pipeline.synthetic.mesh import box
from pipeline.synthetic.motions import standing, turning
from tests.unit.pipeline.audit.planted import faults

T, H, W = 32, 144, 192
HEIGHT_WIDTH = (H, W)
FORWARD = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # at the origin, looking along the world's y, z up
COLUMN, SPACING, APART = 9, 3, 36  # points on each board, pixels between them, and from its middle to any that is on none


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Filmed:
    """The clip, and what is true about it."""

    scene: Scene
    rgb: np.ndarray  # uint8 "T H W 3"
    labels: TrackLabels  # the true tracks
    near: np.ndarray  # int64: tracks on the board that passes in front
    far: np.ndarray  # of the one that is hidden meanwhile, row by row as those of `near`

    @property
    def grey(self) -> np.ndarray:
        return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in self.rgb])

    def with_fault(self, fault: faults.Plant, labels: TrackLabels | None = None) -> tuple[TrackLabels, np.ndarray]:
        """Labels, by default the true ones, with a fault; and the tracks that have it."""
        return faults.plant(labels or self.labels, fault, width=W, near=self.near, far=self.far)

    def cycle(self, labels: TrackLabels) -> CycleMeasures:
        """The way back by a labeler that makes no mistake: from wherever the tracks end it follows the surface that is there."""
        asked = cycle_queries(labels, height=H, width=W)
        forward = np.column_stack([T - 1 - asked[:, 0], asked[:, 1:]])
        truth = labels_of(self.scene, forward)
        back = TrackLabels(queries=asked, tracks_px=truth.tracks_px[::-1].copy(), visibility=truth.visibility[::-1].copy())
        return cycle_measures(labels, back, height=H, width=W)


def labels_of(scene: Scene, queries: np.ndarray) -> TrackLabels:
    """The true tracks of queries "N 3"."""
    truth = true_tracks(scene, queries)
    return TrackLabels(queries=queries.astype(np.float32), tracks_px=truth.tracks_px, visibility=truth.visibility)


def film() -> Filmed:
    """Render the clip."""
    scene = _scene()
    boards = [_column(scene, name) for name in ("near", "far")]
    grid = np.stack(np.meshgrid(np.arange(24, W - 5, 9), np.arange(6, H - 5, 9)), axis=-1).reshape(-1, 2)
    free = np.all([np.abs(grid - board.mean(axis=0)).max(axis=1) > APART for board in boards], axis=0)
    places = np.concatenate([*boards, grid[free]])
    labels = labels_of(scene, np.column_stack([np.zeros(len(places)), places]))
    near, far = np.arange(2 * COLUMN).reshape(2, -1)
    return Filmed(scene=scene, rgb=_rendered(scene), labels=labels, near=near, far=far)


def _rendered(scene: Scene) -> np.ndarray:
    even = np.ones(T, np.float32)
    maker = FrameMaker(scene, Illumination(light=scene.light, key_gain=even, ambient_gain=even), Tracer(scene))
    imaging = Imaging(gain=np.ones((T, 3), np.float32), shot_noise=0.005, read_noise=0.002)
    return np.stack([develop(maker.make(frame), imaging, frame, rng=np.random.default_rng(frame)) for frame in range(T)])


def _scene() -> Scene:
    """A slanting wall, a pillar before it, and two boards that slide past each other; the camera shifts sideways and a little ahead."""
    times_s = np.arange(T, dtype=float)
    poses = np.tile(FORWARD, (T, 1, 1))
    poses[:, :3, 3] = times_s[:, None] * np.array([0.02, 0.01, 0.0])
    rng = np.random.default_rng(3)
    return Scene(
        objects=(
            _thing("wall", (30, 0.5, 12), standing((0, 7.0, 0), turn_deg=8)),
            _thing("pillar", (0.9, 0.5, 12), standing((3.0, 6.2, 0))),
            _thing("near", (1.3, 0.05, 1.3), turning((-0.8, 3.6, 0), (0.06, 0.01, 0), turn_deg_s=0, times_s=times_s)),
            _thing("far", (1.7, 0.05, 1.7), turning((1.1, 4.6, 0), (-0.04, 0.01, 0), turn_deg_s=0, times_s=times_s)),
        ),
        textures={name: _noise(rng) for name in ("wall", "pillar", "near", "far")},
        light=Light(to_sun=(0.3, -1, 0.8), sun=(0, 0, 0), zenith=(0.8, 0.8, 0.8), horizon=(0.8, 0.8, 0.8), bounce=(0.8, 0.8, 0.8)),
        camera_to_world=poses,
        intrinsics=pinhole(H, W, horizontal_fov_deg=70),
        height=H,
        width=W,
        fps=10,
    )


def _thing(name: str, size: tuple[float, float, float], poses: np.ndarray) -> SceneObject:
    return SceneObject(name=name, mesh=box(size), texture=name, tile_m=(3.0, 3.0), poses=poses)


def _noise(rng: np.random.Generator) -> np.ndarray:
    """A seamless texture of three octaves, coloured: uint8 "256 256 3"."""
    octaves = [gaussian_filter(rng.normal(size=(256, 256, 3)), (sigma, sigma, 0), mode="wrap") for sigma in (2, 4, 9)]
    mixed = sum(octave / octave.std() for octave in octaves)
    return np.clip(125 + 34 * mixed + 20 * rng.normal(size=3), 0, 255).astype(np.uint8)


def _column(scene: Scene, name: str) -> np.ndarray:
    """Points one above the other in the middle of a board in the first frame, "n 2"."""
    board = next(item for item in scene.objects if item.name == name)
    x, y, z = board.pose_at(0)[:3, 3]
    middle = np.round([scene.intrinsics[0, 2] + scene.intrinsics[0, 0] * x / y, scene.intrinsics[1, 2]])
    return middle + SPACING * np.column_stack([np.zeros(COLUMN), np.arange(COLUMN) - COLUMN // 2])
