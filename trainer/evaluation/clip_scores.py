"""Scores of one prediction on one clip."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import DataError
from pipeline.metrics import (
    RelativePoseErrors,
    depth_metrics,
    mean_depth_metric,
    resize_to_truth,
)
from pipeline.metrics.world_tracks import tracks_in_first_camera
from pipeline.records import ClipSample
from trainer.evaluation.motion import FIXED_BUBBLES, SCENE_FLOW, TracksInSpace, fixed_bubble_scores, flow_scores, measure_scene_flow
from trainer.evaluation.settings import SINGLE_IMAGES, EvaluationSettings
from trainer.evaluation.truth_metrics import (
    ChosenTracks,
    Score,
    measure_camera_tracks,
    measure_points,
    measure_relative_poses,
    measure_trajectory,
    measure_world_tracks,
    pair_values,
    true_points,
    undefined_scores,
)
from trainer.evaluation.world_track import (
    WORLD_RECONSTRUCTION,
    WORLD_TRACK,
    world_reconstruction_scores,
    world_track_scores,
)
from trainer.inference.prediction import Prediction

POSES = ("ate", "rpe_trans", "rpe_rot_deg")
PAIRS = ("rra_30", "rta_30", "auc_30")
DEPTHS = tuple(f"{value}_{alignment}" for alignment in ("scale", "scale_shift") for value in ("abs_rel", "delta_1"))
IMAGE_DEPTHS = ("abs_rel_median", "delta_1_median")
CLOUDS = ("accuracy", "completion", "normal_consistency")
CAMERA_TRACKS = ("average_jaccard_3d", "average_pts_within_3d", "occlusion_accuracy")
WORLD_TRACKS = ("world_apd", "world_epe_m")
LABELLED = ("labelled_poses", "labelled_tracks", "labelled_flow")  # of label sets: shares of what the truth knows
VALUES = (
    *POSES,
    *PAIRS,
    *DEPTHS,
    *IMAGE_DEPTHS,
    *(f"{name}_{spread}" for name in CLOUDS for spread in ("mean", "median")),
    *CAMERA_TRACKS,
    *WORLD_TRACKS,
    *WORLD_TRACK,
    *WORLD_RECONSTRUCTION,
    *FIXED_BUBBLES,
    *SCENE_FLOW,
    *LABELLED,
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipScores:
    """One model, or one label set, on one clip. `values` has every one of VALUES; NaN where undefined, `undefined` says which and why."""

    key: str
    subset: str = ""  # the part of a benchmark that the clip is of, whose means are taken apart
    num_frames: int
    values: Mapping[str, float]
    undefined: Mapping[str, str] = field(default_factory=dict)
    valid_pixels: int = 0  # with a true depth: the clip's weight in a mean of depth
    num_tracks: int = 0  # asked for
    flow_points: int = 0  # whose flow was measured: the clip's weight in a mean of flow
    pairs: RelativePoseErrors | None = None  # of frames, to be pooled over clips

    def __post_init__(self) -> None:
        if set(self.values) != set(VALUES):
            raise DataError(f"clip {self.key}: scores are {sorted(self.values)}, expected {sorted(VALUES)}")


def lacks_truth(sample: ClipSample) -> bool:
    """Whether a clip has no truth to measure against: no poses, no depth and no 3D tracks."""
    return sample.camera_to_world is None and sample.depth is None and sample.tracks3d is None


def measure_clip(prediction: Prediction, sample: ClipSample, chosen: ChosenTracks | None, settings: EvaluationSettings) -> ClipScores:
    """Compare a prediction of a clip's frames with all that is known of them.

    Args:
        chosen: the true tracks that the model was asked for; None if it was asked for none.
    """
    asked, found = settings.protocols, list[Score]()
    pairs, flow_points = None, 0
    if "poses" in asked:
        pairs = pose_pairs(prediction.camera_to_world, sample, settings)
        found += pose_scores(prediction.camera_to_world, sample, pairs)
    if "video_depth" in asked:
        found += _depth_scores(prediction, sample, settings)
    if SINGLE_IMAGES in asked:
        found += image_depth_scores(prediction.depth, sample, settings)
    if "point_maps" in asked:
        found += _point_map_scores(prediction, sample, settings)
    if "tracks3d" in asked:
        found += _track_scores(prediction, sample, chosen, settings)
    if "world_track" in asked:
        found += world_track_scores(prediction, sample, chosen, sim3=settings.world_sim3)
    if "world_reconstruction" in asked:
        found += world_reconstruction_scores(prediction, sample, seed=settings.seed)
    if "fixed_bubbles" in asked:
        found += _bubble_scores(prediction, sample, chosen)
    if "scene_flow" in asked:
        flow = measure_scene_flow(prediction, sample, chosen, frame=settings.flow_frame)
        found += flow_scores(flow)
        flow_points = 0 if isinstance(flow, str) else flow.num_pixels
    return clip_scores(
        sample,
        found,
        pairs=pairs,
        valid_pixels=_valid_pixels(sample, settings),
        num_tracks=0 if chosen is None else len(chosen.index),
        flow_points=flow_points,
    )


def clip_scores(
    sample: ClipSample,
    found: Iterable[Score],
    *,
    pairs: RelativePoseErrors | None = None,
    valid_pixels: int = 0,
    num_tracks: int = 0,
    flow_points: int = 0,
) -> ClipScores:
    """The scores of a clip, with those that were not asked for."""
    scores = {name: Score(name, math.nan, "not asked for") for name in VALUES} | {each.name: each for each in found}
    return ClipScores(
        key=sample.key,
        subset=str(sample.extra.get("subset", "")),
        num_frames=len(sample.frames),
        values={each.name: each.value for each in scores.values()},
        undefined={each.name: each.why or "not defined for this clip" for each in scores.values() if math.isnan(each.value)},
        valid_pixels=valid_pixels,
        num_tracks=num_tracks,
        flow_points=flow_points,
        pairs=pairs,
    )


def pose_pairs(camera_to_world: np.ndarray, sample: ClipSample, settings: EvaluationSettings) -> RelativePoseErrors | None:
    """Angular errors of poses "T 4 4" between frames that are drawn; None where fewer than two true poses are known."""
    if sample.camera_to_world is None:
        return None
    return measure_relative_poses(camera_to_world, sample, count=settings.pose_frames, seed=settings.seed)


def pose_scores(camera_to_world: np.ndarray, sample: ClipSample, pairs: RelativePoseErrors | None) -> Iterator[Score]:
    """Scores of poses "T 4 4" and of their pairs."""
    if pairs is None:
        yield from undefined_scores(PAIRS, "fewer than two true poses")
    else:
        yield from (Score(*item) for item in pair_values([pairs]).items())
    if sample.camera_to_world is None:
        yield from undefined_scores(POSES, "no true poses")
        return
    metrics = measure_trajectory(camera_to_world, sample)
    for name in POSES:
        yield Score(name, getattr(metrics, name), metrics.undefined.get(name))


def _depth_scores(prediction: Prediction, sample: ClipSample, settings: EvaluationSettings) -> Iterator[Score]:
    if sample.depth is None:
        yield from undefined_scores(DEPTHS, "no true depth")
        return
    height, width = sample.depth.shape[1:]
    predicted = resize_to_truth(prediction.depth, height=height, width=width)
    for suffix, alignment in (("scale", "scale_l1"), ("scale_shift", "scale_shift_l1")):
        metrics = depth_metrics(predicted, sample.depth, protocol=settings.depth_protocol(alignment))
        for name in ("abs_rel", "delta_1"):
            yield Score(f"{name}_{suffix}", getattr(metrics, name), metrics.undefined.get(name))


def image_depth_scores(depth: np.ndarray, sample: ClipSample, settings: EvaluationSettings) -> Iterator[Score]:
    """Scores of depth "T h w" whose every frame has a scale of its own, its median's: means over frames, weighted by valid pixels."""
    if sample.depth is None:
        yield from undefined_scores(IMAGE_DEPTHS, "no true depth")
        return
    height, width = sample.depth.shape[1:]
    protocol = settings.depth_protocol("median")
    images = [
        depth_metrics(resize_to_truth(frame[None], height=height, width=width)[0], true, protocol=protocol)
        for frame, true in zip(depth, sample.depth, strict=True)
    ]
    for name in ("abs_rel", "delta_1"):
        mean = mean_depth_metric(images, name)
        yield Score(f"{name}_median", mean.value, "no frame has a valid true depth and a scale")


def _valid_pixels(sample: ClipSample, settings: EvaluationSettings) -> int:
    if sample.depth is None:
        return 0
    farthest = settings.depth_protocol("metric").max_depth_m
    return int(((sample.depth > 0) & (sample.depth < (math.inf if farthest is None else farthest))).sum())


def _point_map_scores(prediction: Prediction, sample: ClipSample, settings: EvaluationSettings) -> Iterator[Score]:
    true, size = None, prediction.frames.shape[1:3]
    if sample.depth is not None and sample.intrinsics is not None and sample.camera_to_world is not None:
        true = true_points(sample, size, num_frames=settings.point_frames, max_points=settings.max_points)
    if true is None:
        yield from undefined_scores([f"{name}_{spread}" for name in CLOUDS for spread in ("mean", "median")], "no true points")
        return
    metrics = measure_points(prediction.points, true, icp_distance=settings.icp_distance)
    for name in CLOUDS:
        for spread in ("mean", "median"):
            yield Score(f"{name}_{spread}", getattr(getattr(metrics, name), spread), metrics.undefined.get(name))


def _track_scores(prediction: Prediction, sample: ClipSample, chosen: ChosenTracks | None, settings: EvaluationSettings) -> Iterator[Score]:
    if chosen is None or prediction.tracks is None:
        yield from undefined_scores(
            (*CAMERA_TRACKS, *WORLD_TRACKS), "no true tracks to ask for" if chosen is None else "the model tracks nothing"
        )
        return
    if sample.intrinsics is None:
        yield from undefined_scores(CAMERA_TRACKS, "no focal lengths, by which the thresholds are set")
    else:
        metrics = measure_camera_tracks(prediction.tracks, sample, chosen, visible=settings.visible)
        fields = ("average_jaccard", "average_pts_within_thresh", "occlusion_accuracy")
        for name, source in zip(CAMERA_TRACKS, fields, strict=True):
            yield Score(name, float(getattr(metrics, source)), metrics.undefined.get(source))
    yield from world_scores(tracks_in_first_camera(prediction.tracks.camera, prediction.camera_to_world), sample, chosen)


def world_scores(world: np.ndarray, sample: ClipSample, chosen: ChosenTracks) -> Iterator[Score]:
    """WorldTrack's scores of tracks "T N 3" in the camera of the first frame."""
    if sample.camera_to_world is None or (sample.pose_valid is not None and not sample.pose_valid.all()):
        yield from undefined_scores(WORLD_TRACKS, "not every frame has a true pose")
        return
    metrics = measure_world_tracks(world, sample, chosen)
    yield Score("world_apd", metrics.apd, metrics.undefined.get("apd"))
    yield Score("world_epe_m", metrics.epe_m, metrics.undefined.get("epe_m"))


def _bubble_scores(prediction: Prediction, sample: ClipSample, chosen: ChosenTracks | None) -> Iterator[Score]:
    if chosen is None or prediction.tracks is None:
        yield from undefined_scores(FIXED_BUBBLES, "no true tracks to ask for" if chosen is None else "the model tracks nothing")
        return
    yield from fixed_bubble_scores(TracksInSpace.of_prediction(prediction.tracks, prediction.camera_to_world), sample, chosen)
