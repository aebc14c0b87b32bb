"""All measures of the tracks of one clip."""

import numpy as np

from pipeline.audit.records import TrackMeasures, measure_names
from pipeline.audit.tracks.agreement import agreement
from pipeline.audit.tracks.appearance import Appearance, appearance, texture
from pipeline.audit.tracks.collapse import collapse, collapse_clusters
from pipeline.audit.tracks.colour import PointColours, colour_drift
from pipeline.audit.tracks.cycle import CycleMeasures
from pipeline.audit.tracks.epipolar import homog_med, pair_geometries, sampson_med
from pipeline.audit.tracks.flow_drift import flow_drift
from pipeline.audit.tracks.motion import accel_max, border_min, jump
from pipeline.audit.tracks.neighbours import neighbour_motion
from pipeline.audit.tracks.query_frames import query_frames
from pipeline.audit.tracks.realign import realignment
from pipeline.audit.tracks.static_gate import LONG_GAP, SHORT_GAP, static_gate
from pipeline.audit.tracks.visibility import visibility_measures
from pipeline.errors import DataError
from pipeline.raster import length_to_raster, to_raster
from pipeline.records.arrays import check_array
from pipeline.records.labels import TrackLabels

MEASURES_VERSION = "tracks-1"  # of the formulas: other ones need another calibration


def measure_tracks(
    labels: TrackLabels,
    grey: np.ndarray,
    *,
    cycle: CycleMeasures | None = None,
    other: TrackLabels | None = None,
    colours: PointColours | None = None,
) -> TrackMeasures:
    """Measure every track of a clip; what a missing argument would tell stays NaN.

    Args:
        labels: T frames, N tracks, in the pixels of `grey`.
        grey: uint8 "T H W", the clip.
        cycle: the way back, from `cycle_measures`. Without it `fb_cycle` is the labels' own `cycle_error_px`, where they hold one.
        other: labels of the same queries by another labeler.
        colours: of the clip at these labels, from `point_colours`, for `colour_drift`.
    Raises: DataError if labels, frames and the other arguments do not belong to one clip.
    """
    _check(labels, grey, cycle)
    height, width = grey.shape[1:]
    looks = appearance(labels, grey)
    values = {name: np.full(labels.visibility.shape[1], np.nan) for name in measure_names()}
    values |= _of_looks(labels, grey, looks) | _of_visibility(labels, grey)
    if cycle is not None:
        values |= {name: getattr(cycle, name) for name in ("fb_cycle", "fb_all", "fb_agree")}
    elif labels.cycle_error_px is not None:
        values["fb_cycle"] = length_to_raster(labels.cycle_error_px, height, width)
    if other is not None:
        second = agreement(labels, other, height=height, width=width)
        values |= {name: getattr(second, name) for name in ("disagree_median", "disagree_max", "visible_iou", "agree_aj")}
    if colours is not None:
        values["colour_drift"] = colour_drift(labels, colours)
    tracks = to_raster(labels.tracks_px, height, width)
    clusters = collapse_clusters(tracks, labels.visibility, query_frames(labels))
    short, long = (pair_geometries(tracks, labels.visibility, gap=gap, aspect=width / height) for gap in (SHORT_GAP, LONG_GAP))
    gate = static_gate([*short, *long], labels.visibility.shape[1], height=height, width=width)
    values |= _of_motion(tracks, labels) | {
        "sampson_med": sampson_med(short, len(clusters)),
        "homog_med": homog_med(short, len(clusters)),
        "collapse": collapse(clusters, labels.visibility),
        "static_score": gate.static_score,
    }
    arrays = {name: np.asarray(value, np.float32) for name, value in values.items()}
    return TrackMeasures(**arrays, ncc=looks.ncc, collapse_cluster=clusters, static_pairs=gate.pairs)


def _of_looks(labels: TrackLabels, grey: np.ndarray, looks: Appearance) -> dict[str, np.ndarray]:
    drift = realignment(labels, grey)
    names = ("realign_mean", "realign_max", "realign_long_mean", "realign_long_max")
    flow = flow_drift(labels, grey)
    values = {name: getattr(looks, name) for name in ("ncc_min", "ncc_mean", "ncc_step_min")} | {"texture": texture(labels, grey)}
    values |= {name: getattr(flow, name) for name in ("flow_drift_mean", "flow_drift_max")}
    return values | {name: getattr(drift, name) for name in names}


def _of_visibility(labels: TrackLabels, grey: np.ndarray) -> dict[str, np.ndarray]:
    seen = visibility_measures(labels, height=grey.shape[1], width=grey.shape[2])
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


def _check(labels: TrackLabels, grey: np.ndarray, cycle: CycleMeasures | None) -> None:
    num_frames, num_tracks = labels.visibility.shape
    check_array("grey", grey, "uint8", (num_frames, None, None))
    if cycle is not None and cycle.fb_cycle.shape != (num_tracks,):
        raise DataError(f"the cycle is of {len(cycle.fb_cycle)} tracks, the labels hold {num_tracks}; they are not of one clip")
