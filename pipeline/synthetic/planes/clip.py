"""Clips of moving textured planes with exact truth, and as a domain of synthetic clips: true 2D tracks, no geometry."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.records.truth import TruthClip
from pipeline.synthetic.planes.layers import (
    FRAME_TIME,
    SHUTTER,
    Layer,
    LayerView,
    camera_path,
    flying_layer,
    homography_world,
    parallax_world,
    smooth_path,
)
from pipeline.synthetic.truth import choose_queries

_SUITE = 20_261  # begins every clip's draws
DOMAIN = "planes"
_FPS = 12.0
_QUERIES = 1001  # part of a clip's draws


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlaneLayerClip:
    """Frames, and the layers that tell the truth about them."""

    key: str
    frames: np.ndarray  # uint8 "T H W 3"
    layers: tuple[Layer, ...]  # from the farthest to the nearest

    def truth(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Follow queries "N 3" (t, x, y): positions float64 "T N 2" and visibility bool "T N" (in the image and not hidden)."""
        owner = np.array([self.top_layer(int(t), np.array([[x, y]]))[0] for t, x, y in queries], int)
        tracks = np.empty((len(self.frames), len(queries), 2))
        for n, (t, x, y) in enumerate(queries):
            motion = self.layers[owner[n]].canvas_to_image[:, FRAME_TIME] @ np.linalg.inv(self.layers[owner[n]].at(int(t)))
            moved = motion @ np.array([x, y, 1.0])
            tracks[:, n] = moved[:, :2] / moved[:, 2:]
        visible = [self.top_layer(t, tracks[t]) == owner for t in range(len(self.frames))]
        height, width = self.frames.shape[1:3]
        inside = (tracks >= -0.5).all(axis=2) & (tracks[..., 0] <= width - 0.5) & (tracks[..., 1] <= height - 0.5)
        return tracks, np.stack(visible).reshape(inside.shape) & inside

    def dynamic_mask(self) -> np.ndarray:
        """Mask of the visible flying layers, bool "T H W"."""
        height, width = self.frames.shape[1:3]
        y, x = np.mgrid[:height, :width]
        pixels = np.stack([x, y], axis=-1).reshape(-1, 2)
        moves = np.array([layer.moves for layer in self.layers])
        return np.stack([moves[self.top_layer(t, pixels)].reshape(height, width) for t in range(len(self.frames))])

    def top_layer(self, t: int, points: np.ndarray) -> np.ndarray:
        """The layer seen at each of the points "N 2" of a frame, int64 "N"."""
        top = np.zeros(len(points), int)
        for index, layer in enumerate(self.layers):
            if not len(points):
                break
            canvas = cv2.perspectiveTransform(points[None].astype(np.float64), np.linalg.inv(layer.at(t)))[0].astype(np.float32)
            alpha = _sampled(layer.alpha, canvas)
            top[alpha > 0.5] = index
        return top


def make_clip(index: int, *, num_frames: int = 48, seed: int | None = None, size: tuple[int, int] = (240, 320)) -> PlaneLayerClip:
    """Clip number `index`; even ones are homography worlds, odd ones parallax worlds. The same for ever.

    Args:
        seed: of a series of clips; None is the suite on which labelers are measured.
        size: height and width of the frames. Lengths scale with it, the textures' grain does not.
    Raises: DataError if the clip is so long that its camera would walk through a layer.
    """
    rng = np.random.default_rng([_SUITE, index] if seed is None else [_SUITE, seed, index])
    view = LayerView(height=size[0], width=size[1], num_frames=num_frames)
    camera = camera_path(rng, view)
    standing = homography_world(rng, view, camera) if index % 2 == 0 else parallax_world(rng, view, camera)
    flying = [flying_layer(rng, view) for _ in range(rng.integers(4, 7))]
    layers = (*standing, *flying)
    return PlaneLayerClip(key=f"plane-layers-{index:02d}", frames=_expose(rng, layers, view), layers=layers)


def _sampled(alpha: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values of a canvas at "N 2" places, bilinear, 0 beyond it, float32 "N"; in rows of at most 32767, the limit of OpenCV's remap."""
    rows = [
        cv2.remap(alpha, part[:, None, 0], part[:, None, 1], cv2.INTER_LINEAR, borderValue=0)[:, 0]
        for part in np.array_split(places, len(places) // 32_767 + 1)
    ]
    return np.concatenate(rows)


def _expose(rng: np.random.Generator, layers: tuple[Layer, ...], view: LayerView) -> np.ndarray:
    gain = np.exp(0.06 * smooth_path(rng, view.num_frames, 1.0, speed=0.0)[:, 1])
    defocus = 0.6 + 0.5 * np.abs(smooth_path(rng, view.num_frames, 1.0, speed=0.0)[:, 1])
    frames = np.empty((view.num_frames, view.height, view.width, 3), np.uint8)
    for t in range(view.num_frames):
        image = np.mean([_composite(layers, view, t, exposure) for exposure in range(len(SHUTTER))], axis=0)
        image = cv2.GaussianBlur(image, (0, 0), defocus[t]) * gain[t]
        frames[t] = np.clip(np.round(image + rng.normal(0, 4, image.shape)), 0, 255)
    return frames


def _composite(layers: tuple[Layer, ...], view: LayerView, t: int, exposure: int) -> np.ndarray:
    size = (view.width, view.height)
    image = np.zeros((view.height, view.width, 3), np.float32)
    for layer in layers:
        motion = layer.canvas_to_image[t, exposure]
        alpha = cv2.warpPerspective(layer.alpha, motion, size, flags=cv2.INTER_LINEAR)[..., None]
        colour = cv2.warpPerspective(layer.texture, motion, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        image = image * (1 - alpha) + colour * alpha
    return image


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaneRequest:
    """One clip."""

    seed: int
    number: int  # even: homography world, odd: parallax world
    num_frames: int
    size: tuple[int, int]  # height, width


def film_planes(request: PlaneRequest, *, num_tracks: int, license_text: str, window: range | None = None) -> TruthClip:
    """Film one clip, or a window of its frames. Equal arguments give equal bytes. The tracks begin in frames of the window, evenly.

    Raises: DataError if the clip is so long that its camera would walk through a layer.
    """
    window = window or range(request.num_frames)
    clip = make_clip(request.number, num_frames=request.num_frames, seed=request.seed, size=request.size)
    taken = slice(window.start, window.stop)
    dynamic = clip.dynamic_mask()[taken]
    rng = np.random.default_rng([request.seed, request.number, _QUERIES, window.start])
    queries = choose_queries(np.ones(dynamic.shape, np.float32), dynamic, num_tracks=num_tracks, rng=rng)
    tracks, visibility = _followed(clip, queries + [window.start, 0, 0], taken)
    return TruthClip(
        frames=clip.frames[taken],
        frame_times=np.arange(len(window)) / _FPS,
        dynamic_mask=dynamic,
        tracks2d=tracks.astype(np.float32),
        visibility=visibility,
        track_valid=np.ones(visibility.shape, bool),
        query_frame=queries[:, 0].astype(np.int32),
        track_source="gt",
        license=license_text,
        meta={
            "dataset": f"synthetic-{DOMAIN}",
            "domain": DOMAIN,
            "truth_for": "evaluation",
            "orig_size": list(request.size),
            "seed": request.seed,
            "clip": request.number,
            "world": "parallax" if request.number % 2 else "homography",
            "layers": len(clip.layers),
        },
    )


def _followed(clip: PlaneLayerClip, queries: np.ndarray, taken: slice) -> tuple[np.ndarray, np.ndarray]:
    tracks, visibility = clip.truth(queries)
    return tracks[taken], visibility[taken]
