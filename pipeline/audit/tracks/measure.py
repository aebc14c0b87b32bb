"""All measures of the tracks of one clip."""

import numpy as np

from pipeline.audit.records import TrackMeasures, measure_names
from pipeline.audit.tracks.agreement import agreement
from pipeline.audit.tracks.collapse import collapse, collapse_clusters
from pipeline.audit.tracks.colour import colour_drift
from pipeline.audit.tracks.cycle import CycleMeasures
from pipeline.audit.tracks.epipolar import homog_med, pair_geometries, sampson_med
from pipeline.audit.tracks.inputs import query_frames
from pipeline.audit.tracks.motion import accel_max, border_min, jump
from pipeline.audit.tracks.neighbours import neighbour_motion
from pipeline.audit.tracks.picture_measures import PictureMeasures
from pipeline.audit.tracks.static_gate import LONG_GAP, SHORT_GAP, static_gate
from pipeline.audit.tracks.visibility import visibility_measures
from pipeline.errors import DataError
from pipeline.metrics.tapvid_counts import length_to_raster, to_raster
from pipeline.records.labels import TrackLabels

MEASURES_VERSION = "tracks-1"  # of the formulas: other ones need another calibration


def all_measures(
    labels: TrackLabels, by_pictures: PictureMeasures, *, cycle: CycleMeasures | None = None, other: TrackLabels | None = None
) -> TrackMeasures:
    """All measures of the tracks of a clip.

    Args:
        labels: T frames, N tracks.
        by_pictures: what was seen along these tracks.
        cycle: the way back, from `cycle_measures`. Without it `fb_cycle` is the labels' own `cycle_error_px`, where they hold one.
        other: labels of the same queries by another labeler.
    Raises: DataError if the arguments do not belong to one clip.
    """
    height, width = by_pictures.height, by_pictures.width
    values = {name: np.full(labels.visibility.shape[1], np.nan) for name in measure_names()}
    values |= _of_pictures(labels, by_pictures) | _of_visibility(labels, by_pictures) | _of_cycle(labels, by_pictures, cycle)
    if other is not None:
        second = agreement(labels, other, height=height, width=width)
        values |= {name: getattr(second, name) for name in ("disagree_median", "disagree_max", "visible_iou", "agree_aj")}
    tracks = to_raster(labels.tracks_px, height, width)
    values |= _of_motion(tracks, labels)
    clusters = collapse_clusters(tracks, labels.visibility, query_frames(labels))
    short, long = (pair_geometries(tracks, labels.visibility, gap=gap, aspect=width / height) for gap in (SHORT_GAP, LONG_GAP))
    gate = static_gate([*short, *long], labels.visibility.shape[1], height=height, width=width)
    values |= {
        "sampson_med": sampson_med(short, len(clusters)),
        "homog_med": homog_med(short, len(clusters)),
        "collapse": collapse(clusters, labels.visibility),
        "static_score": gate.static_score,
    }
    arrays = {name: np.asarray(value, np.float32) for name, value in values.items()}
    return TrackMeasures(**arrays, ncc=by_pictures.appearance.ncc, collapse_cluster=clusters, static_pairs=gate.pairs)


def _of_pictures(labels: TrackLabels, by_pictures: PictureMeasures) -> dict[str, np.ndarray]:
    named = (
        (by_pictures.appearance, ("ncc_min", "ncc_mean", "ncc_step_min")),
        (by_pictures.realignment, ("realign_mean", "realign_max", "realign_long_mean", "realign_long_max")),
        (by_pictures.flow_drift, ("flow_drift_mean", "flow_drift_max")),
    )
    values = {name: getattr(found, name) for found, names in named for name in names} | {"texture": by_pictures.texture}
    return values if by_pictures.colours is None else values | {"colour_drift": colour_drift(labels, by_pictures.colours)}


def _of_cycle(labels: TrackLabels, by_pictures: PictureMeasures, cycle: CycleMeasures | None) -> dict[str, np.ndarray]:
    if cycle is None:
        stored = labels.cycle_error_px
        return {} if stored is None else {"fb_cycle": length_to_raster(stored, by_pictures.height, by_pictures.width)}
    num_tracks = labels.visibility.shape[1]
    if cycle.fb_cycle.shape != (num_tracks,):
        raise DataError(f"the cycle is of {len(cycle.fb_cycle)} tracks, the labels hold {num_tracks}; they are not of one clip")
    return {name: getattr(cycle, name) for name in ("fb_cycle", "fb_all", "fb_agree")}


def _of_visibility(labels: TrackLabels, by_pictures: PictureMeasures) -> dict[str, np.ndarray]:
    seen = visibility_measures(labels, height=by_pictures.height, width=by_pictures.width)
    return {name: getattr(seen, name) for name in ("len", "cover", "longest_run", "flicker", "oof", "vis_conf")}


def _of_motion(tracks: np.ndarray, labels: TrackLabels) -> dict[str, np.ndarray]:
    neighbours = neighbour_motion(tracks, labels.visibility, query_frames(labels))
    return {
        "accel_max": accel_max(tracks, labels.visibility),
        "jump": jump(tracks, labels.visibility),
        "border_min": border_min(tracks, labels.visibility),
        "neigh_max": neighbours.neigh_max(),
        "static_stick": neighbours.static_stick(),
    }
