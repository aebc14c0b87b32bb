"""Measures of one labelled clip for query_frames.py: coverage, errors against the truth, the audit's findings, and paired intervals."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.audit.auditing import clip_measures, measure_clip_pictures, weigh_tracks
from pipeline.audit.calibrating.figures import ECE_BINS, auroc, brier, expected_calibration_error, reliability
from pipeline.audit.calibrating.samples import BAD_PX, track_errors
from pipeline.audit.calibrating.shipped import shipped_calibrations
from pipeline.audit.calibration import Calibration
from pipeline.audit.clips.coverage import CELLS
from pipeline.audit.tracks.inputs import mean_where
from pipeline.audit.tracks.motion import median_speed
from pipeline.audit.verdict import ClipRules, clip_verdict
from pipeline.metrics.tapvid import tapvid_from_labels
from pipeline.metrics.tapvid_counts import to_raster
from pipeline.records import FramesInMemory, TrackLabels, TrackTruth
from pipeline.synthetic.scene import TrueTracks

RIGHT_PX = 4.0  # of the raster: no farther from the truth, where both are visible, a point is right
RESAMPLES = 2000
MOST_STARTS = 8  # frames by which the accuracy is told apart
Row = Mapping[str, Any]
Statistic = Callable[[Sequence[Row], np.ndarray], np.ndarray]  # (clips, draws of their numbers "R K") -> a value per draw, "R"


def covered_cells(tracks_px: np.ndarray, counted: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Share of 8 x 8 cells of each frame that hold a point that counts, float64 "T".

    Args:
        tracks_px: "T N 2" (x, y), integer = pixel centre. counted: bool "T N".
    """
    places = np.floor((tracks_px + 0.5) * (CELLS / np.array([width, height])))
    column, row = np.clip(places, 0, CELLS - 1).astype(np.int64).transpose(2, 0, 1)
    covered = np.zeros((len(counted), CELLS * CELLS), bool)
    frame, track = np.nonzero(counted)
    covered[frame, row[frame, track] * CELLS + column[frame, track]] = True
    return covered.mean(axis=1)


def true_speed(true: TrueTracks, *, height: int, width: int) -> np.ndarray:
    """Mean step of each true track between frames in which it is seen, pixels of the raster; float64 "N", NaN where unknown."""
    steps = np.linalg.norm(np.diff(to_raster(true.tracks_px, height, width), axis=0), axis=-1)
    return np.where(true.valid, mean_where(steps, true.visibility[1:] & true.visibility[:-1]), np.nan)


def truth_row(labels: TrackLabels, true: TrueTracks, *, fast: np.ndarray, height: int, width: int) -> dict[str, Any]:
    """Coverage and errors of one clip's labels; shares from 0 to 1.

    Args:
        true: tracks of the labels' own queries.
        fast: bool "N": tracks that count for the figures of fast ones.
    """
    size = {"height": height, "width": width}
    away = np.linalg.norm(to_raster(labels.tracks_px, height, width) - to_raster(true.tracks_px, height, width), axis=-1)
    right = labels.visibility & true.visibility & (away <= RIGHT_PX) & true.valid
    called = labels.visibility & true.valid
    cells, right_cells = (covered_cells(labels.tracks_px, counted, **size) for counted in (labels.visibility, right))
    starts = np.unique(labels.queries[:, 0]).astype(int).tolist()
    return {
        "tracks": len(labels.queries),
        "cover_mean": float(cells.mean()),
        "cover_worst": float(cells.min()),
        "right_cover_mean": float(right_cells.mean()),
        "right_cover_worst": float(right_cells.min()),
        "right_points": float(right.mean()),
        "wrong_of_visible": float(1 - right.sum() / max(called.sum(), 1)),
        "mean_length": float(labels.visibility.sum(axis=0).mean()),
        **_accuracy(labels, true, true.valid, **size),
        "fast_right_points": float(right[:, fast].sum() / right.size),
        "fast_delta_avg": _accuracy(labels, true, true.valid & fast, **size)["delta_avg"],
        "by_start": {
            start: _accuracy(labels, true, true.valid & (labels.queries[:, 0] == start), **size) for start in starts[:MOST_STARTS]
        },
    }


def _accuracy(labels: TrackLabels, true: TrueTracks, chosen: np.ndarray, *, height: int, width: int) -> dict[str, float]:
    """TAP-Vid measures of some tracks in all frames but their queries'; NaN without a track."""
    if not chosen.any():
        return {"AJ": float("nan"), "delta_avg": float("nan")}
    part = TrackLabels(queries=labels.queries[chosen], tracks_px=labels.tracks_px[:, chosen], visibility=labels.visibility[:, chosen])
    found = tapvid_from_labels(
        part, true.tracks_px[:, chosen], true.visibility[:, chosen], height=height, width=width, query_mode="strided"
    )
    return {"AJ": float(found.average_jaccard), "delta_avg": float(found.average_pts_within_thresh)}


def calibration_for(labeler: str) -> Calibration:
    """The calibration that comes with the package for a labeler, whatever its options."""
    return next(record.calibration for record in shipped_calibrations() if record.labeler == labeler)


def audit_row(labels: TrackLabels, frames: np.ndarray, calibration: Calibration) -> dict[str, Any]:
    """Findings of the audit in one clip's labels, without the screen; `kept_weight` is 0 where the clip is not kept."""
    height, width = frames.shape[1:3]
    audited = weigh_tracks(labels, measure_clip_pictures(labels, FramesInMemory(frames)), calibration=calibration)
    measures = clip_measures(audited, height=height, width=width)
    verdict = clip_verdict(measures, ClipRules())
    cells = covered_cells(audited.labels.tracks_px, audited.labels.visibility, height=height, width=width)
    weight = audited.weights.weight.astype(np.float64)
    return {
        "tracks": len(weight),
        "kept": float(verdict.decision == "keep"),
        "reasons": list(verdict.reasons),
        "weight": weight.round(5).tolist(),
        "kept_weight": (weight * (verdict.decision == "keep")).round(5).tolist(),
        "speed": median_speed(audited.labels, height=height, width=width).astype(np.float64).round(5).tolist(),
        "cover_mean": float(cells.mean()),
        "cover_worst": float(cells.min()),
        "cover_entropy": measures.cover_entropy,
        "usable_tracks": measures.usable_tracks,
    }


def judged_tracks(labels: TrackLabels, true: TrueTracks, frames: np.ndarray, calibration: Calibration) -> dict[str, list[float]]:
    """Probability of being bad and what is true, for the tracks of one clip whose error is known."""
    height, width = frames.shape[1:3]
    audited = weigh_tracks(labels, measure_clip_pictures(labels, FramesInMemory(frames)), calibration=calibration)
    truth = TrackTruth(
        tracks_px=true.tracks_px,
        visibility=true.visibility,
        track_valid=np.broadcast_to(true.valid, true.visibility.shape).copy(),
        query_frame=labels.queries[:, 0].astype(np.int32),
    )
    largest, _ = track_errors(labels, truth, height=height, width=width)
    known = ~np.isnan(largest)
    assert audited.weights.bad_probability is not None
    return {"probability": audited.weights.bad_probability[known].astype(np.float64).tolist(), "error_px": largest[known].tolist()}


def mean_of(name: str) -> Statistic:
    """Mean of a measure over clips that have it."""

    def mean(rows: Sequence[Row], draws: np.ndarray) -> np.ndarray:
        return np.nanmean(np.array([row[name] for row in rows], np.float64)[draws], axis=1)

    return mean


def pooled_weight(rows: Sequence[Row], draws: np.ndarray) -> np.ndarray:
    """Mean weight of a track over all clips, as in the audit's summary."""
    total, count = (np.array([measure(row["weight"]) for row in rows], np.float64) for measure in (sum, len))
    return total[draws].sum(axis=1) / count[draws].sum(axis=1)


def fastest_weight(rows: Sequence[Row], draws: np.ndarray) -> np.ndarray:
    """What the kept clips give of the weight of the fastest third of all tracks, as in the audit's gate."""
    clips = [np.array([row["speed"], row["kept_weight"]], np.float64) for row in rows]
    known = [clip[:, ~np.isnan(clip[0])] for clip in clips]
    found = []
    for draw in draws.tolist():
        speed, weight = np.concatenate([known[place] for place in draw], axis=1)
        found.append(weight[np.argsort(speed, kind="stable")[len(speed) * 2 // 3 :]].mean())
    return np.array(found)


def compared(first: Sequence[Row], second: Sequence[Row], statistic: Statistic) -> dict[str, Any]:
    """The statistic of the second, and its difference from the first with a paired 95 % bootstrap interval over the clips."""
    draws = np.random.default_rng(0).integers(0, len(first), (RESAMPLES, len(first)))
    low, high = np.percentile(statistic(second, draws) - statistic(first, draws), (2.5, 97.5))
    value, before = (float(statistic(rows, np.arange(len(rows))[None])[0]) for rows in (second, first))
    return {"value": round(value, 4), "difference": round(value - before, 4), "interval": [round(float(low), 4), round(float(high), 4)]}


def compared_arms(files: list[Path], counts: list[int], names: list[str], statistics: Mapping[str, Statistic]) -> dict[str, Any]:
    """Every statistic of every arm, with the difference from the first arm at the same number of tracks."""
    clips = [json.loads(file.read_text()) for file in files]
    rows = {f"{name}/{count}": [clip[f"{name}/{count}"] for clip in clips] for count in counts for name in names}
    return {
        f"{name}/{count}": {
            what: compared(rows[f"{names[0]}/{count}"], rows[f"{name}/{count}"], statistic) for what, statistic in statistics.items()
        }
        for count in counts
        for name in names
    }


def accuracy_by_start(files: list[Path], arm: str) -> dict[str, dict[str, float]]:
    """AJ and delta_avg by the frame that tracks begin in, means over the clips."""
    clips = [json.loads(file.read_text())[arm]["by_start"] for file in files]
    starts = sorted({start for clip in clips for start in clip}, key=int)
    if len(starts) > MOST_STARTS:
        return {}
    means = {
        start: {name: float(np.nanmean([clip[start][name] for clip in clips if start in clip])) for name in ("AJ", "delta_avg")}
        for start in starts
    }
    return {start: {name: round(value, 4) for name, value in each.items()} for start, each in means.items()}


def calibration_figures(rows: Sequence[Row]) -> dict[str, float]:
    """AUROC, calibration error and Brier score over the tracks of clips as `judged_tracks` gives them."""
    probability = np.concatenate([row["probability"] for row in rows])
    bad = np.concatenate([row["error_px"] for row in rows]) > BAD_PX
    figures = {
        "auroc": auroc(probability, bad),
        "ece": expected_calibration_error(reliability(probability, bad, num_bins=ECE_BINS)),
        "brier": brier(probability, bad),
        "bad_share": float(bad.mean()),
        "predicted": float(probability.mean()),
    }
    return {name: round(value, 4) for name, value in figures.items()} | {"tracks": len(bad)}
