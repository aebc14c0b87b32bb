"""Columns of the result tables, their means over clips, and the paired difference of two models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.errors import DataError
from pipeline.metrics.averages import DefinedMean, defined_mean
from trainer.evaluation.clip_scores import ClipScores
from trainer.evaluation.truth_metrics import pair_values

Pooling = Literal["pixels", "pairs", "flow"]
_RESAMPLINGS = 10_000
CLIPS_FOR_INTERVAL = 5  # resampling fewer says more of the resampling than of other clips


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One column."""

    name: str  # in documents, and of the value in ClipScores
    head: str  # of the column
    better: Literal["lower", "higher"]
    percent: bool = False  # a fraction, printed times 100
    pooled: Pooling | None = None  # over clips: the plain mean; weighted by valid pixels or points of flow; all pairs together


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """One table."""

    name: str
    title: str
    measures: tuple[Measure, ...]


def _lower(name: str, head: str, pooled: Pooling | None = None) -> Measure:
    return Measure(name=name, head=head, better="lower", pooled=pooled)


def _share(name: str, head: str, pooled: Pooling | None = None) -> Measure:
    return Measure(name=name, head=head, better="higher", percent=True, pooled=pooled)


def _world_tracks(fit: str, head: str) -> tuple[Measure, ...]:
    return (
        _share(f"world_track_apd_all_{fit}", f"APD all{head}"),
        _share(f"world_track_apd_dynamic_{fit}", f"APD dyn{head}"),
        _lower(f"world_track_epe_m_all_{fit}", f"EPE all{head}"),
        _lower(f"world_track_epe_m_dynamic_{fit}", f"EPE dyn{head}"),
    )


PROTOCOLS = (
    Protocol(
        name="poses",
        title="camera poses (Sim(3) on all frames; RMSE in the truth's unit and degrees; angles of pairs of frames, percent)",
        measures=(
            _lower("ate", "ATE"),
            _lower("rpe_trans", "RPE-t"),
            _lower("rpe_rot_deg", "RPE-r"),
            _share("rra_30", "RRA@30", "pairs"),
            _share("rta_30", "RTA@30", "pairs"),
            _share("auc_30", "AUC@30", "pairs"),
            _share("labelled_poses", "labelled"),
        ),
    ),
    Protocol(
        name="video_depth",
        title="video depth (one scale, or scale and shift, a clip; weighted by valid pixels)",
        measures=(
            _lower("abs_rel_scale", "AbsRel", "pixels"),
            _share("delta_1_scale", "d<1.25", "pixels"),
            _lower("abs_rel_scale_shift", "AbsRel s&s", "pixels"),
            _share("delta_1_scale_shift", "d<1.25 s&s", "pixels"),
        ),
    ),
    Protocol(
        name="single_images",
        title="depth of single images (a median scale an image; weighted by valid pixels)",
        measures=(_lower("abs_rel_median", "AbsRel", "pixels"), _share("delta_1_median", "d<1.25", "pixels")),
    ),
    Protocol(
        name="point_maps",
        title="point maps (Umeyama, then ICP; in the truth's unit; normals as cosines)",
        measures=(
            _lower("accuracy_mean", "Acc"),
            _lower("accuracy_median", "Acc med"),
            _lower("completion_mean", "Comp"),
            _lower("completion_median", "Comp med"),
            Measure(name="normal_consistency_mean", head="NC", better="higher"),
            Measure(name="normal_consistency_median", head="NC med", better="higher"),
        ),
    ),
    Protocol(
        name="tracks3d",
        title="3D tracks (in cameras as TAPVid-3D, median scale; in the first camera's world as WorldTrack; percent, metres)",
        measures=(
            _share("average_jaccard_3d", "AJ 3D"),
            _share("average_pts_within_3d", "APD 3D"),
            _share("occlusion_accuracy", "OA"),
            _share("world_apd", "world APD"),
            _lower("world_epe_m", "world EPE"),
            _share("labelled_tracks", "labelled"),
        ),
    ),
    Protocol(
        name="fixed_bubbles",
        title="3D tracks as Track4World (APD within 1, 4, 16, 64, 256 cm after a scale and shift by seen, or hidden points; percent)",
        measures=(
            _share("bubble_apd_camera_visible", "camera, seen"),
            _share("bubble_apd_camera_occluded", "camera, hidden"),
            _share("bubble_apd_world_visible", "world, seen"),
            _share("bubble_apd_world_occluded", "world, hidden"),
        ),
    ),
    Protocol(
        name="scene_flow",
        title="scene flow as Track4World (one scale and shift a pair of frames; all points together; metres, pixels, percent)",
        measures=(
            _lower("flow_epe_3d_m", "EPE3D", "flow"),
            _share("flow_accuracy_strict_3d", "AccS", "flow"),
            _share("flow_accuracy_relaxed_3d", "AccR", "flow"),
            Measure(name="flow_outliers_3d", head="Out3D", better="lower", percent=True, pooled="flow"),
            _lower("flow_epe_2d_px", "EPE2D", "flow"),
            _share("flow_accuracy_1px", "<1 px", "flow"),
            _share("flow_accuracy_3px", "<3 px", "flow"),
            Measure(name="flow_outliers_2d", head="Out2D", better="lower", percent=True, pooled="flow"),
            _share("labelled_flow", "labelled"),
        ),
    ),
    Protocol(
        name="world_track",
        title="WorldTrack tracks (of the first frame, in its camera, all frames; median scale, or Sim(3); percent, metres)",
        measures=_world_tracks("median", "") + _world_tracks("sim3", " sim3"),
    ),
    Protocol(
        name="world_reconstruction",
        title="WorldTrack reconstruction (points nearer than 5 m; median scale, or Sim(3) by RANSAC; percent, metres)",
        measures=(
            _share("world_points_apd_median", "APD"),
            _lower("world_points_epe_m_median", "EPE"),
            _share("world_points_apd_sim3", "APD sim3"),
            _lower("world_points_epe_m_sim3", "EPE sim3"),
        ),
    ),
)
MEASURES: tuple[Measure, ...] = tuple(measure for protocol in PROTOCOLS for measure in protocol.measures)


def summarise(clips: Sequence[ClipScores]) -> dict[str, DefinedMean]:
    """Each measure over clips, by name; clips in which it is undefined are left out and counted."""
    pooled = pair_values([clip.pairs for clip in clips if clip.pairs is not None])
    weights = {"pixels": [clip.valid_pixels for clip in clips], "flow": [clip.flow_points for clip in clips]}
    means: dict[str, DefinedMean] = {}
    for measure in MEASURES:
        values = [clip.values[measure.name] for clip in clips]
        mean = defined_mean(values, weights=weights.get(measure.pooled or ""))
        if measure.pooled == "pairs" and mean.num_defined:
            mean = DefinedMean(value=pooled[measure.name], num_defined=mean.num_defined, num_dropped=mean.num_dropped)
        means[measure.name] = mean
    return means


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedDifference:
    """Second minus first, over the clips in which both are defined; NaN where there is none."""

    mean: float
    low: float  # 95 % interval of the mean, by resampling clips; NaN from fewer than CLIPS_FOR_INTERVAL
    high: float
    relative: float  # of the mean of the first: -0.34 is 34 % lower
    num_pairs: int


def paired_difference(first: Sequence[float], second: Sequence[float], *, seed: int = 0) -> PairedDifference:
    """Compare two lists of one value a clip (or a seed), NaN where undefined.

    The interval is the percentile bootstrap over pairs: it speaks of other clips like these, not of other runs of training.
    Raises: DataError if the lists differ in length.
    """
    before, after = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if before.ndim != 1 or before.shape != after.shape:
        raise DataError(f"{list(before.shape)} values against {list(after.shape)}; compare two models on the same clips")
    both = ~(np.isnan(before) | np.isnan(after))
    before, after = before[both], after[both]
    if not len(before):
        return PairedDifference(mean=np.nan, low=np.nan, high=np.nan, relative=np.nan, num_pairs=0)
    difference = after - before
    low, high = _interval(difference, seed)
    base = float(before.mean())
    return PairedDifference(
        mean=float(difference.mean()),
        low=low,
        high=high,
        relative=float(difference.mean() / base) if base else np.nan,
        num_pairs=len(difference),
    )


def _interval(difference: np.ndarray, seed: int) -> tuple[float, float]:
    if len(difference) < CLIPS_FOR_INTERVAL:
        return np.nan, np.nan
    rng = np.random.default_rng(seed)
    means = difference[rng.integers(len(difference), size=(_RESAMPLINGS, len(difference)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
