"""Plane-layer clips as a domain of synthetic clips: frames with true 2D tracks, and no geometry."""

from dataclasses import dataclass

import numpy as np

from pipeline.records.truth import TruthClip
from pipeline.synthetic.filming.tracks import choose_queries
from pipeline.synthetic.planes.clip import PlaneLayerClip, make_clip

DOMAIN = "planes"
_FPS = 12.0
_QUERIES = 1001  # part of a clip's draws


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
