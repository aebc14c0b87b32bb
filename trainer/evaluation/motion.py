"""Track4World's protocols on one clip: scene flow between two frames, and tracks in space within fixed distances."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipeline.metrics import SceneFlow, SceneFlowMetrics, Tracks3d, scene_flow_metrics, track4world_metrics, valid_scene_flow
from pipeline.metrics.scene_flow import MEASURES_2D, MEASURES_3D
from pipeline.metrics.track4world import FIT_ON, Track4WorldConfig
from pipeline.metrics.world_tracks import tracks_in_first_camera
from pipeline.records import ClipSample
from pipeline.records.pixel_transforms import resize_points
from trainer.evaluation.truth_metrics import ChosenTracks, Score, true_tracks, undefined_scores
from trainer.inference.geometry import fit_intrinsics
from trainer.inference.prediction import PredictedTracks, Prediction

FLOW_3D = tuple(f"flow_{name}" for name in MEASURES_3D if not name.startswith("points_"))
FLOW_2D = tuple(f"flow_{name}" for name in MEASURES_2D)
SCENE_FLOW = FLOW_3D + FLOW_2D
FIXED_BUBBLES = tuple(f"bubble_apd_{place}_{fit}" for place in ("camera", "world") for fit in FIT_ON)
VISIBLE = 0.5  # score from which the protocol's point counts as seen


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TracksInSpace:
    """N tracks over T frames, predicted or labelled; NaN where a position is not known."""

    visible: npt.NDArray[np.bool_]  # bool "T N"
    world: np.ndarray  # float "T N 3", in the camera of the first frame
    camera: np.ndarray | None = None  # float "T N 3", in the camera of each frame; None: not known

    @classmethod
    def of_prediction(cls, tracks: PredictedTracks, camera_to_world: np.ndarray) -> "TracksInSpace":
        """Predicted tracks and predicted cameras, which are judged together."""
        return cls(
            visible=tracks.visibility_score >= VISIBLE,
            world=tracks_in_first_camera(tracks.camera, camera_to_world),
            camera=tracks.camera,
        )


def fixed_bubble_scores(predicted: TracksInSpace, sample: ClipSample, chosen: ChosenTracks) -> Iterator[Score]:
    """Share of seen points within 1, 4, 16, 64 and 256 cm after scale, shift and median scale, by place and by what they are fitted on.

    Tracks that are seen in fewer than two frames do not count, nor do positions that are not known on either side.

    Source: Track4World, 3D tracking protocol.
    """
    positions, seen, known = true_tracks(sample, chosen)
    kept = (seen & known).sum(axis=0) >= 2
    posed = sample.camera_to_world if sample.pose_valid is None or sample.pose_valid.all() else None
    for place, points in (("camera", predicted.camera), ("world", predicted.world)):
        names = [f"bubble_apd_{place}_{fit}" for fit in FIT_ON]
        if points is None:
            yield from undefined_scores(names, "positions are known in the first camera alone")
        elif not kept.any():
            yield from undefined_scores(names, "no true track is seen in two frames")
        elif place == "world" and posed is None:
            yield from undefined_scores(names, "not every frame has a true pose")
        else:
            true = positions if posed is None or place == "camera" else tracks_in_first_camera(positions, posed)
            given = known & np.isfinite(points).all(axis=-1)
            truth = Tracks3d(positions=true[:, kept], visible=(seen & given)[:, kept], valid=given[:, kept])
            prediction = Tracks3d(positions=np.where(given[..., None], points, 0)[:, kept], visible=predicted.visible[:, kept])
            yield from _within(prediction, truth, place)


def _within(prediction: Tracks3d, truth: Tracks3d, place: str) -> Iterator[Score]:
    for fit in FIT_ON:
        tracks = track4world_metrics(truth, prediction, focal_px=1.0, config=Track4WorldConfig(fit_on=fit)).tracks
        value = float(tracks.average_pts_within_thresh)
        yield Score(f"bubble_apd_{place}_{fit}", value, tracks.undefined.get("average_pts_within_thresh"))


def measure_scene_flow(prediction: Prediction, sample: ClipSample, chosen: ChosenTracks | None, *, frame: int) -> SceneFlowMetrics | str:
    """Motion of the true tracks from the first frame to another, hidden there or not; or why it cannot be measured.

    The predicted pixel is where the camera that fits the predicted points sees the predicted position; pixels are the stored clip's.

    Source: Track4World, scene flow protocol, at tracks instead of all pixels.
    """
    if chosen is None or prediction.tracks is None:
        return "no true tracks to ask for" if chosen is None else "the model tracks nothing"
    if frame >= len(sample.frames):
        return f"the clip has {len(sample.frames)} frames, flow is measured to frame {frame}"
    assert sample.tracks2d is not None, "tracks were chosen among those known in the image"
    positions, _, known = true_tracks(sample, chosen)
    truth = SceneFlow(points=positions[:1], endpoints=positions[[frame]], target_px=sample.tracks2d[[frame]][:, chosen.index])
    moved = SceneFlow(
        points=prediction.tracks.camera[:1],
        endpoints=prediction.tracks.camera[[frame]],
        target_px=_projected(prediction, frame, sample.frames.shape[1:3]),
    )
    found = scene_flow_metrics(moved, truth, valid=valid_scene_flow(truth) & known[:1] & known[[frame]], fit_grid=None)
    if moved.target_px is not None:
        return found
    return replace(found, undefined={**found.undefined, **dict.fromkeys(MEASURES_2D, "no camera sees the predicted points")})


def _projected(prediction: Prediction, frame: int, size: tuple[int, int]) -> np.ndarray | None:
    """Pixels "1 N 2" of an image of `size`; None if no camera sees the points so, or one of them lies behind it."""
    assert prediction.tracks is not None, "asked for where the model tracks"
    points = prediction.tracks.camera[[frame]].astype(np.float64)
    intrinsics = fit_intrinsics(prediction.local_points[[frame]], prediction.confidence[[frame]])
    if intrinsics is None or not (points[..., 2] > 0).all():
        return None
    pixels = points[..., :2] / points[..., 2:] * intrinsics[:, None, [0, 1], [0, 1]] + intrinsics[:, None, :2, 2]
    return resize_points(pixels, prediction.frames.shape[1:3], size)


def flow_scores(found: SceneFlowMetrics | str) -> Iterator[Score]:
    """The scores of a measured pair of frames, or none for a reason."""
    if isinstance(found, str):
        yield from undefined_scores(SCENE_FLOW, found)
        return
    for name in SCENE_FLOW:
        field = name.removeprefix("flow_")
        yield Score(name, getattr(found, field), found.undefined.get(field))
